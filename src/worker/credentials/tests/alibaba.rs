//! Alibaba Cloud's sources, one by one and in their order.

use super::{Answer, Home, NOBODY, Seen, Service, answer};
use crate::config::{Base, Cloud, Role, Source};
use insta::assert_snapshot;

fn home() -> Home {
    Home::of(Cloud::Alibaba)
}

/// One parameter of a query or a form.
fn parameter(text: &str, name: &str) -> String {
    let text = text.split_once('?').map_or(text, |(_, query)| query);
    let found = text.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap_or("-").replace("%3A", ":").replace("%2F", "/").replace('+', " ")
}

/// An STS that gives a key named after what it was asked.
fn sts(seen: &Seen) -> Answer {
    let action = parameter(&seen.target, "Action");
    let (role, session) = (parameter(&seen.body, "RoleArn"), parameter(&seen.body, "RoleSessionName"));
    let by = match action.as_str() {
        "AssumeRole" => {
            assert_ne!(parameter(&seen.target, "Signature"), "-", "it is signed");
            parameter(&seen.target, "AccessKeyId")
        }
        _ => format!("token {}", parameter(&seen.body, "OIDCToken")),
    };
    let more = ["ExternalId", "Policy", "DurationSeconds", "OIDCProviderArn"].map(|name| parameter(&seen.body, name));
    let key = format!("[{action} of {role} as {session} by {by} {}]", more.join(" "));
    answer(
        200,
        format!(
            r#"{{"Credentials":{{"AccessKeyId":"{key}","AccessKeySecret":"s","SecurityToken":"t","Expiration":"2099-01-02T03:04:05Z"}}}}"#
        ),
    )
}

/// The metadata service of an instance with the role `worker`.
fn metadata(seen: &Seen) -> Answer {
    match (seen.what().as_str(), seen.header("x-aliyun-ecs-metadata-token")) {
        ("PUT /latest/api/token", _) => {
            assert_eq!(seen.header("x-aliyun-ecs-metadata-token-ttl-seconds"), "21600");
            answer(200, "metadata-token")
        }
        ("GET /latest/meta-data/ram/security-credentials/", "metadata-token") => answer(200, "worker\n"),
        ("GET /latest/meta-data/ram/security-credentials/worker", "metadata-token") => answer(
            200,
            r#"{"Code":"Success","AccessKeyId":"STS.i","AccessKeySecret":"is","SecurityToken":"it","Expiration":"2099-01-02T03:04:05Z"}"#,
        ),
        ("GET /uri", _) => answer(
            200,
            r#"{"AccessKeyId":"STS.u","AccessKeySecret":"us","SecurityToken":"ut","Expiration":"2099-01-02T03:04:05Z"}"#,
        ),
        _ => answer(404, "<html>no</html>"),
    }
}

#[tokio::test]
async fn every_family_of_variables_is_known_and_none_is_mixed() {
    let mut told = Vec::new();
    for set in [
        &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "a"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s")][..],
        &[
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", "a"),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s"),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", "t"),
        ],
        &[
            ("ALIBABACLOUD_ACCESS_KEY_ID", "b"),
            ("ALIBABACLOUD_ACCESS_KEY_SECRET", "s"),
            ("ALIBABACLOUD_SECURITY_TOKEN", "t"),
        ],
        &[("ALICLOUD_ACCESS_KEY_ID", "c"), ("ALICLOUD_ACCESS_KEY_SECRET", "s"), ("ALICLOUD_SECURITY_TOKEN", "t")],
        &[("ALICLOUD_ACCESS_KEY", "d"), ("ALICLOUD_SECRET_KEY", "s"), ("ALIBABA_CLOUD_SECURITY_TOKEN", "other")],
        &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "a"), ("ALICLOUD_SECRET_KEY", "s")],
        &[("ALICLOUD_ACCESS_KEY", " "), ("ALICLOUD_SECRET_KEY", "s")],
    ] {
        let mut home = home();
        home.base(Base::Only(Source::Environment));
        for (name, value) in set {
            home.env(name, value);
        }
        told.push(home.told().await);
    }
    assert_snapshot!(told.join("\n"), @r"
    a/s/-/- - @ environment: ALIBABA_CLOUD_ACCESS_KEY_ID
    a/s/t/- - @ environment: ALIBABA_CLOUD_ACCESS_KEY_ID
    b/s/t/- - @ environment: ALIBABACLOUD_ACCESS_KEY_ID
    c/s/t/- - @ environment: ALICLOUD_ACCESS_KEY_ID
    d/s/-/- - @ environment: ALICLOUD_ACCESS_KEY
    environment: ALIBABA_CLOUD_ACCESS_KEY_ID is set and ALIBABA_CLOUD_ACCESS_KEY_SECRET is not
    environment: ALICLOUD_SECRET_KEY is set and ALICLOUD_ACCESS_KEY is not
    ");
}

#[tokio::test]
async fn the_chain_is_walked_in_the_vendors_order_and_says_every_place_it_looked_at() {
    let service = Service::start(|seen| if seen.method == "POST" { sts(seen) } else { metadata(seen) }).await;
    let mut home = home();
    home.places().sts = Some(service.url.clone());
    home.places().metadata = Some(service.url.clone());
    let token = home.file("token", "TOKEN\n");
    home.env("ALIBABA_CLOUD_ACCESS_KEY_ID", "env").env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s");
    home.env("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1001:role/pod").env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", &token);
    home.env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::1001:oidc-provider/p");
    home.env("ALIBABA_CLOUD_CREDENTIALS_URI", &format!("{}/uri", service.url));
    home.file(
        ".aliyun/config.json",
        r#"{"current":"p","profiles":[{"name":"p","mode":"AK","access_key_id":"cli","access_key_secret":"s"}]}"#,
    );
    home.file(
        ".alibabacloud/credentials.ini",
        "[default]\ntype = access_key\naccess_key_id = ini\naccess_key_secret = s\n",
    );
    home.file(
        ".alibabacloud/credentials",
        "[default]\ntype = access_key\naccess_key_id = old\naccess_key_secret = s\n",
    );
    let mut told = vec![home.told().await];
    home.without("ALIBABA_CLOUD_ACCESS_KEY_ID").without("ALIBABA_CLOUD_ACCESS_KEY_SECRET");
    told.push(home.told().await);
    home.without("ALIBABA_CLOUD_OIDC_TOKEN_FILE").without("ALIBABA_CLOUD_OIDC_PROVIDER_ARN");
    told.push(home.told().await);
    home.remove(".aliyun/config.json");
    told.push(home.told().await);
    home.remove(".alibabacloud/credentials.ini");
    told.push(home.told().await);
    home.remove(".alibabacloud/credentials");
    told.push(home.told().await);
    home.places().metadata = Some(NOBODY.into());
    told.push(home.told().await);
    home.without("ALIBABA_CLOUD_CREDENTIALS_URI");
    told.push(home.told().await);
    home.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true").env("ALIBABA_CLOUD_CLI_PROFILE_DISABLED", "true");
    home.env("ALIBABA_CLOUD_CREDENTIALS_FILE", "/no/such/file");
    told.push(home.told().await);
    assert_snapshot!(told.join("\n").replace(&service.url, "SERVICE"), @r"
    env/s/-/- - @ environment: ALIBABA_CLOUD_ACCESS_KEY_ID
    [AssumeRoleWithOIDC of acs:ram::1001:role/pod as tagmill by token TOKEN - - 3600 acs:ram::1001:oidc-provider/p]/s/t/- 2099-01-02T03:04:05Z @ web identity: role acs:ram::1001:role/pod for the token in HOME/token
    cli/s/-/- - @ HOME/.aliyun/config.json, profile p
    ini/s/-/- - @ HOME/.alibabacloud/credentials.ini, section default
    old/s/-/- - @ HOME/.alibabacloud/credentials, section default
    STS.i/is/it/- 2099-01-02T03:04:05Z @ instance metadata: role worker
    STS.u/us/ut/- 2099-01-02T03:04:05Z @ credentials URI in ALIBABA_CLOUD_CREDENTIALS_URI
    no credentials for Alibaba Cloud; looked at: environment (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABACLOUD_ACCESS_KEY_ID, ALICLOUD_ACCESS_KEY_ID, ALICLOUD_ACCESS_KEY not set); web identity (ALIBABA_CLOUD_OIDC_TOKEN_FILE not set); HOME/.aliyun/config.json (no such file); HOME/.alibabacloud/credentials.ini (no such file); HOME/.alibabacloud/credentials (no such file); instance metadata (http://127.0.0.1:9 does not answer); credentials URI (ALIBABA_CLOUD_CREDENTIALS_URI not set). Set one of them up, or write credentials in the lane
    no credentials for Alibaba Cloud; looked at: environment (ALIBABA_CLOUD_ACCESS_KEY_ID, ALIBABACLOUD_ACCESS_KEY_ID, ALICLOUD_ACCESS_KEY_ID, ALICLOUD_ACCESS_KEY not set); web identity (ALIBABA_CLOUD_OIDC_TOKEN_FILE not set); ~/.aliyun/config.json (ALIBABA_CLOUD_CLI_PROFILE_DISABLED is set); /no/such/file (no such file); instance metadata (ALIBABA_CLOUD_ECS_METADATA_DISABLED is set); credentials URI (ALIBABA_CLOUD_CREDENTIALS_URI not set). Set one of them up, or write credentials in the lane
    ");
}

#[tokio::test]
async fn a_source_that_is_set_up_and_does_not_work_is_an_error_and_the_next_is_not_asked() {
    let usable =
        r#"{"current":"p","profiles":[{"name":"p","mode":"AK","access_key_id":"cli","access_key_secret":"s"}]}"#;
    let mut told = Vec::new();
    for set in [
        &[("ALIBABA_CLOUD_ACCESS_KEY_ID", "a")][..],
        &[("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/no/such")],
        &[("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p"), ("ALIBABA_CLOUD_ROLE_ARN", "r")],
        &[
            ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/no/such"),
            ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "p"),
            ("ALIBABA_CLOUD_ROLE_ARN", "r"),
        ],
    ] {
        let mut home = home();
        home.file(".aliyun/config.json", usable);
        for (name, value) in set {
            home.env(name, value);
        }
        told.push(home.told().await);
    }
    for text in ["{", r#"{"profiles":[{"name":"default","mode":"AK","access_key_id":"cli"}]}"#] {
        let home = home();
        home.file(".aliyun/config.json", text);
        told.push(home.told().await);
    }
    let mut named = home();
    named.env("ALIBABA_CLOUD_ECS_METADATA", "worker");
    told.push(named.told().await);
    let mut named = home();
    named.env("ALIBABA_CLOUD_CREDENTIALS_URI", "ftp://x");
    told.push(named.told().await);
    assert_snapshot!(told.join("\n"), @r"
    environment: ALIBABA_CLOUD_ACCESS_KEY_ID is set and ALIBABA_CLOUD_ACCESS_KEY_SECRET is not
    web identity: ALIBABA_CLOUD_ROLE_ARN is not set, and the other variables are
    web identity: ALIBABA_CLOUD_OIDC_TOKEN_FILE is not set, and the other variables are
    web identity: the token file /no/such: there is no such file
    HOME/.aliyun/config.json: is not JSON
    HOME/.aliyun/config.json, profile default: access_key_id or access_key_secret is missing
    instance metadata: http://127.0.0.1:9 does not answer
    credentials URI: ALIBABA_CLOUD_CREDENTIALS_URI is no address that starts with http:// or https://
    ");
}

#[tokio::test]
async fn every_mode_of_a_cli_profile_gives_its_key_or_says_what_is_missing() {
    let service = Service::start(|seen| if seen.method == "POST" { sts(seen) } else { metadata(seen) }).await;
    let mut home = home();
    home.places().sts = Some(service.url.clone());
    home.places().metadata = Some(service.url.clone());
    let token = home.file("token", "TOKEN\n");
    let printed =
        home.file("printed", r#"{"mode":"StsToken","access_key_id":"x","access_key_secret":"xs","sts_token":"xt"}"#);
    let profiles = [
        r#""mode":"AK","access_key_id":"a","access_key_secret":"s","sts_token":"left behind""#.to_owned(),
        r#""mode":"StsToken","access_key_id":"a","access_key_secret":"s","sts_token":"t""#.into(),
        r#""mode":"StsToken","access_key_id":"a","access_key_secret":"s""#.into(),
        r#""mode":"AK","access_key_id":"","access_key_secret":"""#.into(),
        r#""mode":"AK","access_key_id":"a""#.into(),
        r#""mode":"RamRoleArn","access_key_id":"a","access_key_secret":"s","ram_role_arn":"acs:ram::1001:role/r","ram_session_name":"me","external_id":"e","policy":"{}","expired_seconds":900"#.into(),
        r#""mode":"RamRoleArn","access_key_id":"a","access_key_secret":"s""#.into(),
        r#""mode":"ecsramrole","ram_role_name":"worker""#.into(),
        r#""mode":"EcsRamRole""#.into(),
        r#""mode":"EcsRamRole","ram_role_name":"other""#.into(),
        r#""mode":"RamRoleArnWithRoleName","ram_role_name":"worker","ram_role_arn":"acs:ram::1001:role/r","ram_session_name":"me""#.into(),
        r#""mode":"ChainableRamRoleArn","source_profile":"p0","ram_role_arn":"acs:ram::1001:role/one""#.into(),
        r#""mode":"ChainableRamRoleArn","source_profile":"p11","ram_role_arn":"acs:ram::1001:role/two""#.into(),
        r#""mode":"ChainableRamRoleArn","source_profile":"p13","ram_role_arn":"acs:ram::1001:role/circle""#.into(),
        r#""mode":"ChainableRamRoleArn","source_profile":"p99","ram_role_arn":"acs:ram::1001:role/nowhere""#.into(),
        format!(r#""mode":"OIDC","oidc_provider_arn":"prov","oidc_token_file":"{token}","ram_role_arn":"acs:ram::1001:role/r""#),
        r#""mode":"OIDC","oidc_provider_arn":"prov","ram_role_arn":"acs:ram::1001:role/r""#.into(),
        format!(r#""mode":"CredentialsURI","credentials_uri":"{}/uri""#, service.url),
        format!(r#""mode":"CredentialsURI","credentials_uri":"{}/secret-elsewhere""#, service.url),
        r#""mode":"CredentialsURI""#.into(),
        format!(r#""mode":"External","process_command":"cat '{printed}'""#),
        r#""mode":"External","process_command":"echo SECRET""#.into(),
        r#""mode":"External","process_command":"no-such-program --secret=SECRET""#.into(),
        r#""mode":"CloudSSO","access_key_id":"a","access_key_secret":"s","sts_token":"t","sts_expiration":4070908800"#.into(),
        r#""mode":"OAuth","access_key_id":"a","access_key_secret":"s","sts_token":"t","sts_expiration":1000000000"#.into(),
        r#""mode":"CloudSSO""#.into(),
        r#""mode":"RsaKeyPair","private_key":"SECRET""#.into(),
        r#""mode":"BearerToken","bearer_token":"SECRET""#.into(),
    ];
    let list: Vec<String> =
        profiles.iter().enumerate().map(|(n, profile)| format!(r#"{{"name":"p{n}",{profile}}}"#)).collect();
    home.file(".aliyun/config.json", &format!(r#"{{"current":"p1","profiles":[{}]}}"#, list.join(",")));
    let mut told = vec![home.told().await];
    for n in 0..profiles.len() {
        home.base(Base::File { profile: Some(format!("p{n}")), file: None });
        told.push(format!("p{n}: {}", home.told().await));
    }
    let told = told.join("\n").replace(&service.url, "SERVICE");
    assert!(!told.contains("SECRET") && !told.contains("secret-elsewhere"), "{told}");
    assert_snapshot!(told, @r"
    a/s/t/- - @ HOME/.aliyun/config.json, profile p1
    p0: a/s/-/- - @ HOME/.aliyun/config.json, profile p0
    p1: a/s/t/- - @ HOME/.aliyun/config.json, profile p1
    p2: HOME/.aliyun/config.json, profile p2: sts_token is missing
    p3: no credentials for Alibaba Cloud: HOME/.aliyun/config.json, profile p3 (has no key); HOME/.alibabacloud/credentials.ini (no such file); HOME/.alibabacloud/credentials (no such file)
    p4: HOME/.aliyun/config.json, profile p4: access_key_id or access_key_secret is missing
    p5: [AssumeRole of acs:ram::1001:role/r as me by a e %7B%7D 900 -]/s/t/- 2099-01-02T03:04:05Z @ role acs:ram::1001:role/r taken with HOME/.aliyun/config.json, profile p5
    p6: HOME/.aliyun/config.json, profile p6: ram_role_arn is missing
    p7: STS.i/is/it/- 2099-01-02T03:04:05Z @ HOME/.aliyun/config.json, profile p7, instance metadata: role worker
    p8: STS.i/is/it/- 2099-01-02T03:04:05Z @ HOME/.aliyun/config.json, profile p8, instance metadata: role worker
    p9: HOME/.aliyun/config.json, profile p9: instance metadata: SERVICE has no key for the role other (HTTP 404)
    p10: [AssumeRole of acs:ram::1001:role/r as me by STS.i - - 3600 -]/s/t/- 2099-01-02T03:04:05Z @ role acs:ram::1001:role/r taken with HOME/.aliyun/config.json, profile p10, instance metadata: role worker
    p11: [AssumeRole of acs:ram::1001:role/one as tagmill by a - - 3600 -]/s/t/- 2099-01-02T03:04:05Z @ role acs:ram::1001:role/one taken with HOME/.aliyun/config.json, profile p0
    p12: [AssumeRole of acs:ram::1001:role/two as tagmill by %5BAssumeRole%20of%20acs:ram::1001:role/one%20as%20tagmill%20by%20a%20-%20-%203600%20-%5D - - 3600 -]/s/t/- 2099-01-02T03:04:05Z @ role acs:ram::1001:role/two taken with role acs:ram::1001:role/one taken with HOME/.aliyun/config.json, profile p0
    p13: HOME/.aliyun/config.json, profile p13: its source profiles lead in a circle
    p14: HOME/.aliyun/config.json, profile p14: there is no profile p99
    p15: [AssumeRoleWithOIDC of acs:ram::1001:role/r as tagmill by token TOKEN - - 3600 prov]/s/t/- 2099-01-02T03:04:05Z @ HOME/.aliyun/config.json, profile p15: role acs:ram::1001:role/r for the token in HOME/token
    p16: HOME/.aliyun/config.json, profile p16: oidc_token_file is missing
    p17: STS.u/us/ut/- 2099-01-02T03:04:05Z @ credentials URI in HOME/.aliyun/config.json, profile p17, credentials_uri
    p18: credentials URI: the address in HOME/.aliyun/config.json, profile p18, credentials_uri hands out no key (HTTP 404)
    p19: HOME/.aliyun/config.json, profile p19: credentials_uri is missing
    p20: x/xs/xt/- - @ HOME/.aliyun/config.json, profile p20, process_command
    p21: HOME/.aliyun/config.json, profile p21: process_command prints no JSON
    p22: HOME/.aliyun/config.json, profile p22: the secret program no-such-program cannot be started: No such file or directory (os error 2)
    p23: a/s/t/- 2099-01-01T00:00:00Z @ HOME/.aliyun/config.json, profile p23
    p24: HOME/.aliyun/config.json, profile p24: the sign-in has ended; run any `aliyun` command with this profile to renew it
    p25: HOME/.aliyun/config.json, profile p25: the sign-in has ended; run any `aliyun` command with this profile to renew it
    p26: HOME/.aliyun/config.json, profile p26: the mode RsaKeyPair gives no key that tagmill can sign with; use another profile
    p27: HOME/.aliyun/config.json, profile p27: the mode BearerToken gives no key that tagmill can sign with; use another profile
    ");
}

#[tokio::test]
async fn every_type_of_an_sdk_section_gives_its_key_or_says_what_is_missing() {
    let service = Service::start(|seen| if seen.method == "POST" { sts(seen) } else { metadata(seen) }).await;
    let mut home = home();
    home.places().sts = Some(service.url.clone());
    home.places().metadata = Some(service.url.clone());
    let token = home.file("token", "TOKEN\n");
    let file = home.file(
        "own.ini",
        &format!(
            "[ak]\ntype=access_key\naccess_key_id=a\naccess_key_secret=s\n[half]\ntype=access_key\naccess_key_id=a\n\
             [sts]\ntype=sts\naccess_key_id=a\naccess_key_secret=s\nsecurity_token=t\n\
             [role]\ntype=ram_role_arn\naccess_key_id=a\naccess_key_secret=s\nrole_arn=acs:ram::1:role/r\nrole_session_name=me\n\
             [oidc]\ntype=oidc_role_arn\noidc_provider_arn=p\noidc_token_file_path={token}\nrole_arn=acs:ram::1:role/r\n\
             [ecs]\ntype=ecs_ram_role\nrole_name=worker\n[uri]\ntype=credentials_uri\ncredentials_uri={}/uri\n\
             [off]\nenable=false\ntype=access_key\n[rsa]\ntype=rsa_key_pair\n[none]\nx=1\n",
            service.url
        ),
    );
    let mut told = Vec::new();
    for name in ["ak", "half", "sts", "role", "oidc", "ecs", "uri", "off", "rsa", "none", "missing"] {
        home.base(Base::File { profile: Some(name.into()), file: Some(file.clone().into()) });
        told.push(home.told().await);
    }
    assert_snapshot!(told.join("\n").replace(&service.url, "SERVICE"), @r"
    a/s/-/- - @ HOME/own.ini, section ak
    HOME/own.ini, section half: access_key_secret is missing
    a/s/t/- - @ HOME/own.ini, section sts
    [AssumeRole of acs:ram::1:role/r as me by a - - 3600 -]/s/t/- 2099-01-02T03:04:05Z @ role acs:ram::1:role/r taken with HOME/own.ini, section role
    [AssumeRoleWithOIDC of acs:ram::1:role/r as tagmill by token TOKEN - - 3600 p]/s/t/- 2099-01-02T03:04:05Z @ HOME/own.ini, section oidc: role acs:ram::1:role/r for the token in HOME/token
    STS.i/is/it/- 2099-01-02T03:04:05Z @ HOME/own.ini, section ecs, instance metadata: role worker
    STS.u/us/ut/- 2099-01-02T03:04:05Z @ credentials URI in HOME/own.ini, section uri, credentials_uri
    no credentials for Alibaba Cloud: HOME/own.ini, section off (is not enabled)
    HOME/own.ini, section rsa: the type rsa_key_pair gives no key that tagmill can sign with; use another section
    HOME/own.ini, section none: type is missing
    no credentials for Alibaba Cloud: HOME/own.ini (no section missing)
    ");
}

#[tokio::test]
async fn the_environment_chooses_the_profile_and_the_config_overrules_it() {
    let mut home = home();
    home.file(
        ".aliyun/config.json",
        r#"{"current":"a","profiles":[{"name":"a","mode":"AK","access_key_id":"a","access_key_secret":"s"},
            {"name":"b","mode":"AK","access_key_id":"b","access_key_secret":"s"}]}"#,
    );
    home.file(".alibabacloud/credentials", "[c]\ntype=access_key\naccess_key_id=c\naccess_key_secret=s\n");
    home.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let mut told = vec![home.told().await];
    for name in ["b", "c", "d"] {
        home.env("ALIBABA_CLOUD_PROFILE", name);
        told.push(home.told().await);
    }
    home.base(Base::File { profile: Some("a".into()), file: None });
    told.push(home.told().await);
    home.base(Base::File { profile: Some("e".into()), file: None });
    told.push(home.told().await);
    assert_snapshot!(told.join("\n"), @r"
    a/s/-/- - @ HOME/.aliyun/config.json, profile a
    b/s/-/- - @ HOME/.aliyun/config.json, profile b
    c/s/-/- - @ HOME/.alibabacloud/credentials, section c
    ALIBABA_CLOUD_PROFILE names the profile d, and there is none: HOME/.aliyun/config.json (no profile d); HOME/.alibabacloud/credentials.ini (no such file); HOME/.alibabacloud/credentials (no section d)
    a/s/-/- - @ HOME/.aliyun/config.json, profile a
    no credentials for Alibaba Cloud: HOME/.aliyun/config.json (no profile e); HOME/.alibabacloud/credentials.ini (no such file); HOME/.alibabacloud/credentials (no section e)
    ");
}

#[tokio::test]
async fn an_older_metadata_service_is_asked_without_a_token_unless_that_is_forbidden() {
    let old = Service::start(|seen| match seen.what().as_str() {
        "GET /latest/meta-data/ram/security-credentials/" => answer(200, "worker"),
        "GET /latest/meta-data/ram/security-credentials/worker" => {
            answer(200, r#"{"Code":"Success","AccessKeyId":"STS.o","AccessKeySecret":"s","SecurityToken":"t"}"#)
        }
        _ => answer(404, ""),
    })
    .await;
    let mut home = home();
    home.places().metadata = Some(old.url.clone());
    let mut told = vec![home.told().await];
    home.env("ALIBABA_CLOUD_IMDSV1_DISABLED", "true");
    told.push(home.told().await);
    // The role that the environment names is not asked for.
    home.without("ALIBABA_CLOUD_IMDSV1_DISABLED").env("ALIBABA_CLOUD_ECS_METADATA", "worker");
    let before = old.seen().len();
    told.push(home.told().await);
    assert_eq!(old.whats()[before..].len(), 2);
    let evil = Service::start(|seen| match seen.method.as_str() {
        "PUT" => answer(200, "t"),
        _ => answer(200, "../../user-data"),
    })
    .await;
    home.without("ALIBABA_CLOUD_ECS_METADATA").places().metadata = Some(evil.url.clone());
    told.push(home.told().await);
    assert_snapshot!(told.join("\n").replace(&old.url, "OLD").replace(&evil.url, "EVIL"), @r"
    STS.o/s/t/- - @ instance metadata: role worker
    instance metadata: OLD gives no token, and ALIBABA_CLOUD_IMDSV1_DISABLED is set
    STS.o/s/t/- - @ instance metadata: role worker
    instance metadata: EVIL names a role that is no name
    ");
}

#[tokio::test]
async fn a_role_is_taken_from_any_base_with_what_its_owner_wants() {
    let service = Service::start(sts).await;
    let mut home = home();
    home.places().sts = Some(service.url.clone());
    home.env("ALICLOUD_ACCESS_KEY", "env").env("ALICLOUD_SECRET_KEY", "s");
    let role = Role {
        arn: "acs:ram::1001:role/tagger".into(),
        external_id: Some("agreed".into()),
        session_name: "me".into(),
        duration: Some(std::time::Duration::from_mins(30)),
    };
    home.role(Some(role));
    assert_snapshot!(home.told().await, @"[AssumeRole of acs:ram::1001:role/tagger as me by env agreed - 1800 -]/s/t/- 2099-01-02T03:04:05Z @ role acs:ram::1001:role/tagger taken with environment: ALICLOUD_ACCESS_KEY");
}

#[tokio::test]
async fn an_sts_that_is_away_is_asked_again_and_one_that_refuses_is_not() {
    let away = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(2));
    let left = std::sync::Arc::clone(&away);
    let service = Service::start(move |seen| {
        use std::sync::atomic::Ordering::Relaxed;
        if left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            return answer(503, r#"{"Code":"ServiceUnavailable","Message":"away"}"#);
        }
        sts(seen)
    })
    .await;
    let mut home = home();
    home.env("ALICLOUD_ACCESS_KEY", "env").env("ALICLOUD_SECRET_KEY", "SECRETKEY");
    let role = Role { arn: "acs:ram::1:role/r".into(), external_id: None, session_name: "me".into(), duration: None };
    home.role(Some(role)).places().sts = Some(service.url.clone());
    assert!(home.find().await.is_ok());
    assert_eq!(service.seen().len(), 3);
    let refusing = Service::start(|seen| {
        let quoted = format!("server string to sign is:{}&LTAIEXAMPLEEXAMPLE", seen.target.replace('"', ""));
        answer(404, format!(r#"{{"Code":"EntityNotExist.Role","Message":"The role not exists: r. {quoted}"}}"#))
    })
    .await;
    home.places().sts = Some(refusing.url.clone());
    assert_snapshot!(home.told().await, @"the role acs:ram::1:role/r cannot be taken with the credentials from environment: ALICLOUD_ACCESS_KEY (EntityNotExist.Role: The role not exists: r. …); check the role, whom it trusts, and the external id");
    assert_eq!(refusing.seen().len(), 1);
    home.places().sts = Some(NOBODY.into());
    assert_snapshot!(home.told().await, @"the role acs:ram::1:role/r cannot be taken with the credentials from environment: ALICLOUD_ACCESS_KEY (connect: no connection to the endpoint); check the role, whom it trusts, and the external id");
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_services_own() {
    let service = Service::start(|seen| {
        if parameter(&seen.target, "Timestamp").starts_with("2033-") {
            return sts(seen);
        }
        let date = vec![("date", "Tue, 01 Mar 2033 00:00:00 GMT".to_owned())];
        (400, date, r#"{"Code":"InvalidTimeStamp.Expired","Message":"expired"}"#.into())
    })
    .await;
    let mut home = home();
    home.env("ALICLOUD_ACCESS_KEY", "env").env("ALICLOUD_SECRET_KEY", "s");
    let role = Role { arn: "acs:ram::1:role/r".into(), external_id: None, session_name: "me".into(), duration: None };
    home.role(Some(role)).places().sts = Some(service.url.clone());
    assert!(home.find().await.is_ok());
    assert_eq!(service.seen().len(), 2);
}

#[tokio::test]
async fn the_environment_says_where_sts_is() {
    let service = Service::start(sts).await;
    let mut home = home();
    home.places().sts = None;
    home.env("ALICLOUD_ACCESS_KEY", "env").env("ALICLOUD_SECRET_KEY", "s");
    home.env("ALIBABA_CLOUD_STS_ENDPOINT", &service.url);
    let role = Role { arn: "acs:ram::1:role/r".into(), external_id: None, session_name: "me".into(), duration: None };
    home.role(Some(role));
    assert!(home.find().await.is_ok());
    home.env("ALIBABA_CLOUD_STS_ENDPOINT", "not a host");
    assert_snapshot!(home.told().await, @"the STS endpoint: endpoint: the host is not a name or an address; write it as https://host or http://host:port");
}
