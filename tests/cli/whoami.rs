//! Who the lanes are: what the clouds say, where it was found, and what happens when a session ends in the middle.

use crate::support::{Clouds, Home, cloud, disks, sums, until};
use secrecy::SecretString;
use serde_json::{Value, json};
use tagmill::sim::{Faults, well_known};

const ROLE: &str = "acs:ram::2002:role/tagger";

const AWS_ROLE: &str = "arn:aws:iam::222222222222:role/tagger";

/// An Alibaba Cloud account of our own, 1001, and one whose role we may take, 2002; on AWS the same with the well-known
/// account and 222222222222.
fn two_accounts(change: impl FnOnce(&mut Vec<tagmill::sim::CloudConfig>)) -> Clouds {
    Clouds::with(|clouds| {
        for name in ["alibaba-ecs", "alibaba-rds", "alibaba-tag"] {
            let own = cloud(clouds, name);
            own.account_id = Some("1001".into());
            let mut other = own.clone();
            other.name = format!("other-{name}");
            (other.access_key, other.secret_key) = ("OTHERKEY".into(), SecretString::from("other-secret"));
            other.account_id = Some("2002".into());
            other.external_id = Some("agreed".into());
            other.oidc_token = Some(SecretString::from("POD-TOKEN"));
            clouds.push(other);
        }
        for name in ["aws-tagging", "aws-s3"] {
            let mut other = cloud(clouds, name).clone();
            other.name = format!("other-{name}");
            (other.access_key, other.secret_key) = ("OTHERAWSKEY".into(), SecretString::from("other-aws-secret"));
            other.account_id = Some("222222222222".into());
            other.external_id = Some("agreed".into());
            clouds.push(other);
        }
        change(clouds);
    })
}

fn lane(name: &str, provider: &str, url: &str, credentials: &str) -> String {
    let region = match provider.split('-').next() {
        Some("huawei") => "cn-north-4",
        Some("aws") => "us-east-1",
        _ => "cn-hangzhou",
    };
    let credentials =
        if credentials.is_empty() { String::new() } else { format!("    credentials: {{ {credentials} }}\n") };
    format!(
        "  - name: {name}\n    provider: {provider}\n    region: {region}\n    endpoint: {url}\n    concurrency: 8\n    \
         rate: {{ per_second: 60, burst: 5 }}\n{credentials}"
    )
}

/// The role of the other account, taken with our own key.
fn role(url: &str) -> String {
    format!(
        "access_key: {}, secret_key: {{ env: ALIBABA_SECRET }}, sts_endpoint: \"{url}\", \
         assume_role: {{ role_arn: \"{ROLE}\", external_id: agreed, session_name: me }}",
        well_known::ALIBABA_ACCESS_KEY
    )
}

/// The same on AWS, from a profile.
fn aws_role(url: &str) -> String {
    format!(
        "sts_endpoint: \"{url}\", assume_role: {{ role_arn: \"{AWS_ROLE}\", external_id: agreed, session_name: me, \
         source_profile: base }}"
    )
}

/// One lane of each kind.
fn lanes(url: &str) -> Vec<String> {
    let (key, domain) = (well_known::HUAWEI_ACCESS_KEY, well_known::HUAWEI_DOMAIN_ID);
    let (user, account) = (well_known::HUAWEI_USER, well_known::HUAWEI_DOMAIN);
    let places = format!("iam_endpoint: \"{url}\", sts_endpoint: \"{url}\"");
    vec![
        lane(
            "key",
            "huawei-tms",
            url,
            &format!("access_key: {key}, secret_key: {{ env: HUAWEI_SECRET }}, domain_id: \"{domain}\", {places}"),
        ),
        lane(
            "unsaid",
            "huawei-tms",
            url,
            &format!("access_key: {key}, secret_key: {{ env: HUAWEI_SECRET }}, {places}"),
        ),
        lane(
            "login",
            "huawei-tms",
            url,
            &format!("username: {user}, password: {{ env: HUAWEI_PASSWORD }}, domain_name: {account}, {places}"),
        ),
        lane("own", "alibaba-ecs", url, &format!("source: environment, sts_endpoint: \"{url}\"")),
        lane("role", "alibaba-ecs", url, &role(url)),
        lane("role-too", "alibaba-rds", url, &role(url)),
        lane("aws", "aws-tagging", url, &format!("source: environment, sts_endpoint: \"{url}\"")),
        lane("aws-role", "aws-tagging", url, &aws_role(url)),
        lane("aws-role-too", "aws-s3", url, &aws_role(url)),
    ]
}

fn home(url: &str, lanes: &[String]) -> Home {
    let mut home = Home::new(lanes);
    let folder = home.path("");
    home.env("HOME", folder.to_str().unwrap());
    std::fs::create_dir(home.path(".aws")).unwrap();
    let (key, secret) = (well_known::AWS_ACCESS_KEY, well_known::AWS_SECRET_KEY);
    home.write(
        ".aws/config",
        &format!("[profile base]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"),
    );
    home.env("AWS_ACCESS_KEY_ID", key);
    home.env("AWS_SECRET_ACCESS_KEY", secret);
    home.env("ALIBABA_CLOUD_ACCESS_KEY_ID", well_known::ALIBABA_ACCESS_KEY);
    home.env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", well_known::ALIBABA_SECRET_KEY);
    home.env("ALIBABA_CLOUD_STS_ENDPOINT", url);
    home
}

#[test]
fn every_lane_is_told_its_account_and_where_its_credentials_were_found() {
    let clouds = two_accounts(|_| {});
    let home = home(&clouds.url(), &lanes(&clouds.url()));
    let done = home.run(&["whoami"]);
    assert_eq!(done.code, 0, "{done:?}");
    let table: Vec<String> = done.out.lines().map(without_times).collect();
    insta::assert_snapshot!(table.join("\n"), @r"
    lane | account | principal | expires | found in
    key | 51300000000000000000000000000001 | iam::51300000000000000000000000000001:user:sim-user | - | the lane's config
    unsaid | 51300000000000000000000000000001 | iam::51300000000000000000000000000001:user:sim-user | - | the lane's config
    login | 51300000000000000000000000000001 | sim-domain/sim-user | TIME | the lane's config, login as sim-domain/sim-user
    own | 1001 | acs:ram::1001:user/sim | - | environment: ALIBABA_CLOUD_ACCESS_KEY_ID
    role | 2002 | acs:ram::2002:assumed-role/tagger/me | TIME | role acs:ram::2002:role/tagger taken with the lane's config
    role-too | 2002 | acs:ram::2002:assumed-role/tagger/me | TIME | role acs:ram::2002:role/tagger taken with the lane's config
    aws | 123456789012 | arn:aws:iam::123456789012:user/sim | - | environment: AWS_ACCESS_KEY_ID
    aws-role | 222222222222 | arn:aws:sts::222222222222:assumed-role/tagger/me | TIME | role arn:aws:iam::222222222222:role/tagger taken with ~/.aws, profile base
    aws-role-too | 222222222222 | arn:aws:sts::222222222222:assumed-role/tagger/me | TIME | role arn:aws:iam::222222222222:role/tagger taken with ~/.aws, profile base
    ");
    let rows = home.run(&["whoami", "--output", "json"]).json();
    assert_eq!(rows.as_array().unwrap().len(), 9);
    let principal = "acs:ram::2002:assumed-role/tagger/me";
    assert_eq!((&rows[4]["account"], &rows[4]["principal"]), (&json!("2002"), &json!(principal)));
    assert!(rows[4]["expires_at"].is_string() && rows[3]["expires_at"].is_null(), "{rows}");
    assert_eq!(rows[2]["principal"], json!("sim-domain/sim-user"));
    let before = clouds.counts("other-alibaba-ecs").tokens_issued;
    let one = home.run(&["whoami", "--output", "ndjson", "--lane", "role", "--lane", "role-too"]).json_lines();
    assert_eq!(one.len(), 2);
    assert_eq!(one[0]["lane"], json!("role"));
    assert_eq!(clouds.counts("other-alibaba-ecs").tokens_issued, before + 1, "two lanes, one session");
    home.run(&["whoami", "--lane", "nowhere"]).refused(65);
    assert_eq!(clouds.requests(), 0, "nobody was asked to tag anything");
}

/// The columns of a row, times replaced.
fn without_times(line: &str) -> String {
    let words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
    let is_time = |word: &str| word.ends_with('Z') && word.starts_with("20");
    words.map(|word| if is_time(word) { "TIME" } else { word }).collect::<Vec<_>>().join(" | ")
}

#[test]
fn a_lane_that_is_nobody_is_told_why_and_the_others_are_told_who_they_are() {
    let clouds = two_accounts(|_| {});
    let url = clouds.url();
    let mut all = lanes(&url);
    let wrong = role(&url).replace("agreed", "wrong");
    all.push(lane("stranger", "alibaba-ecs", &url, &wrong));
    let nothing = "metadata_endpoint: \"http://127.0.0.1:9\", iam_endpoint: \"http://127.0.0.1:9\"";
    all.push(lane("nothing", "huawei-tms", &url, nothing));
    let elsewhere = format!("source: environment, sts_endpoint: \"{url}\"");
    all.push(lane("elsewhere", "aws-s3", &url, &elsewhere) + "    account_id: \"111111111111\"\n");
    let mut home = home(&url, &all);
    home.without("HUAWEI_SECRET");
    let done = home.run(&["whoami", "--output", "json"]);
    assert_eq!(done.code, 69, "{done:?}");
    let rows = done.json();
    let errors: Vec<(&str, &str)> = rows
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| Some((row["lane"].as_str().unwrap(), row["error"].as_str()?)))
        .collect();
    let told: Vec<String> = errors.iter().map(|(lane, why)| format!("{lane}: {why}")).collect();
    insta::assert_snapshot!(told.join("\n").replace(home.path("").to_str().unwrap(), "HOME/"), @r"
    key: the credentials could not be read: the environment variable HUAWEI_SECRET is not set
    unsaid: the credentials could not be read: the environment variable HUAWEI_SECRET is not set
    stranger: the role acs:ram::2002:role/tagger cannot be taken with the credentials from the lane's config (NoPermission: You are not authorized to do this action. You should be authorized by RAM.); check the role, whom it trusts, and the external id
    nothing: no credentials for Huawei Cloud; looked at: web identity (HUAWEICLOUD_SDK_IDP_ID not set); environment (HUAWEICLOUD_SDK_AK, HW_ACCESS_KEY, HW_USER_NAME not set); HOME/.huaweicloud/credentials (no such file); pod identity (HC_CONTAINER_CREDENTIALS_FULL_URI not set); instance metadata (http://127.0.0.1:9 does not answer). Set one of them up, or write credentials in the lane
    elsewhere: account_id says 111111111111, and the credentials from environment: AWS_ACCESS_KEY_ID belong to 123456789012
    ");
    assert!(done.err.contains("lane stranger: the role"), "{}", done.err);
    assert!(done.err.contains("5 lanes without credentials that work"), "{}", done.err);
    assert_eq!(rows[3]["account"], json!("1001"));
    // The table says it too.
    let done = home.run(&["whoami", "--lane", "nothing"]);
    assert_eq!((done.code, done.out.lines().nth(1).unwrap().contains("(none)")), (69, true), "{done:?}");
}

/// What `apply` does with 5,000 disks over both lanes of the role.
fn apply(home: &Home, clouds: &Clouds, during: impl FnOnce()) -> (crate::support::Done, Value) {
    let mut csv = "id,type,lane,env\n".to_owned();
    for n in 0..2500 {
        csv += &format!("d-{n},disk,role,a\nrm-{n},INSTANCE,role-too,a\n");
    }
    home.write("all.csv", &csv);
    let running = home.start(&["apply", "all.csv", "--output", "json"]);
    let calls = || clouds.counts("other-alibaba-ecs").requests + clouds.counts("other-alibaba-rds").requests;
    until("it is on its way", || calls() >= 10);
    during();
    let done = running.wait();
    let ledger = done.json();
    (done, ledger)
}

#[test]
fn a_session_that_is_ended_in_the_middle_is_renewed_once_for_all_lanes_and_nothing_is_lost() {
    let clouds = two_accounts(|_| {});
    let home = home(&clouds.url(), &lanes(&clouds.url())[4..6]);
    let (done, ledger) = apply(&home, &clouds, || {
        clouds.faults("other-alibaba-ecs", Faults { token_epoch: 1, ..Faults::default() });
    });
    assert_eq!((done.code, sums(&ledger)), (0, [5000, 5000, 0, 0]), "{done:?}");
    let counts = ["other-alibaba-ecs", "other-alibaba-rds"].map(|name| clouds.counts(name));
    assert!(counts.iter().any(|counts| counts.outcomes.auth > 0), "{counts:?}");
    assert_eq!(counts[0].tokens_issued, 2, "once at the start, once for both lanes");
    assert_eq!(clouds.tags("other-alibaba-ecs").len(), 2500);
}

#[test]
fn a_session_at_aws_that_is_ended_in_the_middle_is_renewed_once_for_all_lanes_and_nothing_is_lost() {
    let clouds = two_accounts(|_| {});
    let home = home(&clouds.url(), &lanes(&clouds.url())[7..]);
    let mut jobs = String::new();
    for n in 0..1200 {
        let arn = format!("arn:aws:ec2:us-east-1:222222222222:instance/i-{n:04}");
        jobs += &format!("{}\n", json!({"lane": "aws-role", "resources": [arn], "set": {"env": "prod"}}));
    }
    for n in 0..60 {
        jobs += &format!(
            "{}\n",
            json!({"lane": "aws-role-too", "resources": [format!("bucket-{n:04}")], "set": {"env": "prod"}})
        );
    }
    home.write("jobs.ndjson", &jobs);
    let running = home.start(&["apply", "jobs.ndjson", "--output", "json"]);
    let calls = |name: &str| clouds.counts(name).requests;
    until("both are on their way", || calls("other-aws-tagging") >= 10 && calls("other-aws-s3") >= 10);
    clouds.faults("other-aws-tagging", Faults { token_epoch: 1, ..Faults::default() });
    let done = running.wait();
    assert_eq!((done.code, sums(&done.json())), (0, [1260, 1260, 0, 0]), "{done:?}");
    let counts = ["other-aws-tagging", "other-aws-s3"].map(|name| clouds.counts(name));
    assert!(counts.iter().any(|counts| counts.outcomes.auth > 0), "{counts:?}");
    assert_eq!(counts[0].tokens_issued, 2, "once at the start, once for both lanes");
    assert_eq!((clouds.tags("other-aws-tagging").len(), clouds.tags("other-aws-s3").len()), (1200, 60));
}

#[test]
fn a_session_that_ends_by_itself_is_renewed_before() {
    let clouds = two_accounts(|clouds| {
        for cloud in clouds.iter_mut().filter(|cloud| cloud.access_key == "OTHERKEY") {
            cloud.token_ttl_s = 2;
            cloud.rate = Some(tagmill::sim::Rate::new(12.0, 2.0));
        }
    });
    let lanes: Vec<String> = lanes(&clouds.url())[4..]
        .iter()
        .map(|lane| lane.replace("per_second: 60, burst: 5", "per_second: 10, burst: 1"))
        .collect();
    let home = home(&clouds.url(), &lanes);
    let (done, ledger) = apply(&home, &clouds, || {});
    assert_eq!((done.code, sums(&ledger)), (0, [5000, 5000, 0, 0]), "{done:?}");
    let counts = clouds.counts("other-alibaba-ecs");
    // 50 calls at ten a second: five seconds, two of which a session lasts.
    assert!(counts.tokens_issued >= 3, "{counts:?}");
    assert_eq!(counts.outcomes.auth, 0, "{counts:?}");
}

#[test]
fn a_renewal_that_is_refused_pauses_the_lanes_says_why_and_loses_nothing() {
    let clouds = two_accounts(|_| {});
    let home = home(&clouds.url(), &lanes(&clouds.url())[4..6]);
    let (done, ledger) = apply(&home, &clouds, || {
        clouds.faults("other-alibaba-ecs", Faults { token_epoch: 1, ..Faults::default() });
        // Our own key is disabled: it can take no role any more.
        clouds.faults("alibaba-rds", Faults { revoked: true, ..Faults::default() });
    });
    let [accepted, tagged, dead, pending] = sums(&ledger);
    assert_eq!((done.code, accepted, dead, tagged + pending), (69, 5000, 0, 5000), "{done:?}");
    assert!(
        done.err.contains("lane role is paused: the role acs:ram::2002:role/tagger cannot be taken"),
        "{}",
        done.err
    );
    assert!(done.err.contains("InvalidAccessKeyId.Inactive"), "{}", done.err);
    clouds.faults("alibaba-rds", Faults::default());
    let (done, ledger) = home.apply(&["all.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [5000, 5000, 0, 0]), "{done:?}");
}

#[test]
fn a_pod_takes_its_role_with_its_token() {
    let clouds = two_accounts(|_| {});
    let mut home = Home::new(&[lane("pod", "alibaba-ecs", &clouds.url(), "")]);
    home.write("token", "POD-TOKEN\n");
    home.env("ALIBABA_CLOUD_ROLE_ARN", ROLE);
    home.env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::2002:oidc-provider/ack");
    home.env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", home.path("token").to_str().unwrap());
    home.env("ALIBABA_CLOUD_STS_ENDPOINT", &clouds.url());
    let done = home.run(&["whoami", "--output", "json"]);
    assert_eq!((done.code, &done.json()[0]["account"]), (69, &Value::Null), "the role wants an external id: {done:?}");
    let clouds = two_accounts(|clouds| clouds.iter_mut().for_each(|cloud| cloud.external_id = None));
    home.lanes(&[lane("pod", "alibaba-ecs", &clouds.url(), "")]);
    home.env("ALIBABA_CLOUD_STS_ENDPOINT", &clouds.url());
    let done = home.run(&["whoami", "--output", "json"]);
    assert_eq!((done.code, &done.json()[0]["account"]), (0, &json!("2002")), "{done:?}");
    home.write("disks.csv", &disks((0..100).map(|n| format!("d-{n}"))));
    let (done, ledger) = home.apply(&["disks.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [100, 100, 0, 0]), "{done:?}");
    assert_eq!(clouds.tags("other-alibaba-ecs").len(), 100);
}

#[test]
fn no_secret_is_printed_however_much_is_logged() {
    let clouds = two_accounts(|clouds| clouds.iter_mut().for_each(|cloud| cloud.token_ttl_s = 3));
    let url = clouds.url();
    let mut home = home(&url, &lanes(&url));
    home.env("RUST_LOG", "trace");
    let mut csv = "id,type,lane,env\n".to_owned();
    for n in 0..100 {
        for name in ["key", "unsaid", "login", "own", "role"] {
            csv += &format!("d-{n},disk,{name},TAG-VALUE\n");
        }
        csv += &format!("rm-{n},INSTANCE,role-too,TAG-VALUE\n");
        for (name, account) in [("aws", well_known::AWS_ACCOUNT_ID), ("aws-role", "222222222222")] {
            csv += &format!("arn:aws:ec2:us-east-1:{account}:instance/i-{n},,{name},TAG-VALUE\n");
        }
    }
    csv += "a-bucket,,aws-role-too,TAG-VALUE\n";
    home.write("all.csv", &csv);
    let (done, ledger) = home.apply(&["all.csv"]);
    assert_eq!((done.code, sums(&ledger)), (0, [801, 801, 0, 0]), "{done:?}");
    let told = home.run(&["whoami"]);
    // And when everything is refused: errors quote what was sent.
    home.env("HUAWEI_SECRET", "mistyped-secret");
    home.env("ALIBABA_SECRET", "mistyped-secret");
    home.env("AWS_SECRET_ACCESS_KEY", "mistyped-secret");
    let refused = home.run(&["whoami"]);
    // Of the state before, the bucket's lane would wait until every read shows what was written.
    let (again, _) = home.apply(&["all.csv", "--state", "another"]);
    for done in [done, told, refused, again] {
        let all = format!("{}{}", done.out, done.err);
        assert!(all.contains("TRACE") || all.contains("DEBUG"), "nothing was logged: {all}");
        for secret in [
            well_known::HUAWEI_SECRET_KEY,
            well_known::HUAWEI_PASSWORD,
            well_known::ALIBABA_SECRET_KEY,
            well_known::AWS_SECRET_KEY,
            "mistyped-secret",
            "session-secret-",
            "session-token-",
            "Signature=",
            "TAG-VALUE",
        ] {
            assert!(!all.contains(secret), "{secret} is printed: {all}");
        }
        // A login's token starts with the number of its cloud and goes on for two thousand digits.
        assert!(!all.split(|c: char| !c.is_ascii_hexdigit()).any(|word| word.len() > 100), "a token is printed: {all}");
    }
}
