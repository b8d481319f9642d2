//! AWS's sources, one by one and in their order. The vendor's crates read the environment of the process themselves, so
//! each look is a process of its own with nothing else in its environment.

use super::{
    super::{Wanted, around::Around, aws, chain, whoami},
    Answer, Client, Home, NOBODY, Seen, Service, answer, end, shown,
};
use crate::config::{Base, Cloud, Credentials, LaneConfig, Role, Source};
use insta::assert_snapshot;
use std::{collections::BTreeMap, process::Stdio, time::Duration};

/// The lane's credentials, as the config writes them, for the child.
const LANE: &str = "TAGMILL_TEST_CREDENTIALS";

/// Not a test: what the children do.
#[tokio::test]
#[ignore = "run by the other tests, each time with another environment"]
async fn child() {
    let Ok(text) = std::env::var(LANE) else { return };
    let credentials = if text.is_empty() { String::new() } else { format!(", credentials: {text}") };
    // No provider of AWS is needed to read who a lane is.
    let text = format!("lanes: [{{name: a, provider: aws-tagging, region: eu-central-1{credentials}}}]");
    let catalog = &crate::config::fake::CATALOG;
    let config = crate::config::parse_with(&text, std::path::Path::new("t"), [], catalog).unwrap();
    let lane: &LaneConfig = &config.lanes[0];
    let (wanted, around) = (Wanted::of(lane), Around::real(Client::new().unwrap()).unwrap());
    match chain::find(&wanted, &around).await {
        Ok(found) => {
            println!("TOLD {} {} @ {}", shown(&found.credential), end(&found), found.place);
            if std::env::var_os("TAGMILL_TEST_CALLER").is_some() {
                let held = super::super::Held::new(found);
                println!("TOLD {:?}", whoami::ask(&held, &wanted, &around).await);
            }
        }
        Err(why) => println!("TOLD {why}"),
    }
}

/// A user's environment.
struct Shell {
    home: Home,
    env: BTreeMap<String, String>,
    /// What stands behind `credentials:` in the lane.
    lane: String,
}

impl Shell {
    fn new() -> Self {
        let home = Home::of(Cloud::Aws);
        let folder = home.file("x", "").trim_end_matches("/x").to_owned();
        let env = [("HOME", folder.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { home, env, lane: String::new() }
    }

    fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.insert(name.into(), value.into());
        self
    }

    fn without(&mut self, name: &str) -> &mut Self {
        self.env.remove(name);
        self
    }

    fn lane(&mut self, credentials: &str) -> &mut Self {
        credentials.clone_into(&mut self.lane);
        self
    }

    async fn told(&self) -> String {
        let path = "worker::credentials::tests::aws::child";
        let child = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", path, "--nocapture"])
            .env_clear()
            .envs(&self.env)
            .env(LANE, &self.lane)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .output();
        let out = tokio::time::timeout(Duration::from_mins(1), child).await.unwrap().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        // The harness writes its own words before them on the same line.
        let told: Vec<&str> = text.lines().filter_map(|line| line.split_once("TOLD ")).map(|(_, told)| told).collect();
        assert!(!told.is_empty(), "{text}{}", String::from_utf8_lossy(&out.stderr));
        told.join("\n").replace(&self.env["HOME"], "HOME")
    }
}

fn form<'s>(seen: &'s Seen, name: &str) -> &'s str {
    let found = seen.body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or("-")
}

/// STS, SSO, a container's endpoint and a machine's metadata service in one.
fn cloud(seen: &Seen) -> Answer {
    let json = |key: &str| {
        format!(
            r#"{{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"{key}","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-02T03:04:05Z"}}"#
        )
    };
    let key_of =
        |text: &str| text.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or("-").to_owned();
    let action = form(seen, "Action");
    match (seen.what().as_str(), action) {
        ("POST /", "AssumeRole" | "AssumeRoleWithWebIdentity") => {
            let by = match action {
                "AssumeRole" => key_of(seen.header("authorization")),
                _ => format!("token {}", form(seen, "WebIdentityToken")),
            };
            let names = ["RoleArn", "RoleSessionName", "ExternalId", "DurationSeconds"];
            let [role, session, external, seconds] =
                names.map(|name| form(seen, name).replace("%3A", ":").replace("%2F", "/"));
            // The vendor's own name of a session has the time in it.
            let session = if session.len() > 30 || session.contains("-1") { "(its own)".to_owned() } else { session };
            let scope = seen.header("authorization").split('/').nth(2).unwrap_or("-").to_owned();
            let key = format!("[{action} of {role} as {session} by {by} {external} {seconds} in {scope}]");
            let body = format!(
                "<{action}Response><{action}Result><Credentials><AccessKeyId>{key}</AccessKeyId>\
                 <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                 <Expiration>2099-01-02T03:04:05Z</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>a:b\
                 </AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/r/s</Arn></AssumedRoleUser>\
                 </{action}Result></{action}Response>"
            );
            (200, vec![("content-type", "text/xml".into())], body)
        }
        ("POST /", "GetCallerIdentity") => answer(
            200,
            "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/ann</Arn>\
             <UserId>AIDA</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        ("GET /federation/credentials", _) if seen.header("x-amz-sso_bearer_token") == "SSOTOKEN" => answer(
            200,
            r#"{"roleCredentials":{"accessKeyId":"sso","secretAccessKey":"s","sessionToken":"t","expiration":4070912645000}}"#,
        ),
        ("GET /container", _) if seen.header("authorization") == "CONTAINERTOKEN" => answer(200, json("container")),
        ("PUT /latest/api/token", _) => {
            (200, vec![("x-aws-ec2-metadata-token-ttl-seconds", "21600".into())], "metadata-token".into())
        }
        ("GET /latest/meta-data/iam/security-credentials/", _)
            if seen.header("x-aws-ec2-metadata-token") == "metadata-token" =>
        {
            answer(200, "worker")
        }
        ("GET /latest/meta-data/iam/security-credentials/worker", _) => answer(200, json("instance")),
        _ => answer(404, ""),
    }
}

#[tokio::test]
async fn the_chain_is_walked_in_the_vendors_order_and_says_every_place_it_looked_at() {
    let service = Service::start(cloud).await;
    let mut shell = Shell::new();
    let token = shell.home.file("token", "PODTOKEN");
    shell.home.file(".aws/credentials", "[default]\naws_access_key_id = file\naws_secret_access_key = s\n");
    shell.env("AWS_ENDPOINT_URL_STS", &service.url).env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.url);
    shell.without("AWS_EC2_METADATA_DISABLED");
    shell.env("AWS_ACCESS_KEY_ID", "env").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_SESSION_TOKEN", "t");
    shell.env("AWS_CREDENTIAL_EXPIRATION", "2098-01-01T00:00:00Z").env("AWS_ACCOUNT_ID", "111122223333");
    shell.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token).env("AWS_ROLE_SESSION_NAME", "pod");
    shell.env("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/pod");
    shell.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/container", service.url));
    shell.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "CONTAINERTOKEN");
    let mut told = vec![shell.told().await];
    shell.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    told.push(shell.told().await);
    shell.home.remove(".aws/credentials");
    told.push(shell.told().await);
    shell.without("AWS_WEB_IDENTITY_TOKEN_FILE");
    told.push(shell.told().await);
    shell.without("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    told.push(shell.told().await);
    shell.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", NOBODY);
    told.push(shell.told().await);
    shell.env("AWS_EC2_METADATA_DISABLED", "true");
    told.push(shell.told().await);
    shell.env("AWS_PROFILE", "elsewhere");
    told.push(shell.told().await);
    assert_snapshot!(told.join("\n"), @r"
    env/s/t/111122223333 2098-01-01T00:00:00Z @ environment: AWS_ACCESS_KEY_ID
    file/s/-/- - @ ~/.aws, profile default
    [AssumeRoleWithWebIdentity of arn:aws:iam::111122223333:role/pod as pod by token PODTOKEN - - in -]/s/t/111122223333 2099-01-02T03:04:05Z @ web identity: a role for the token in HOME/token
    container/s/t/- 2099-01-02T03:04:05Z @ container
    instance/s/t/- 2099-01-02T03:04:05Z @ instance metadata
    no credentials for AWS; looked at: environment (AWS_ACCESS_KEY_ID not set); ~/.aws, profile default (is not there); web identity (AWS_WEB_IDENTITY_TOKEN_FILE not set); container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI not set); instance metadata (does not answer, or knows no role). Set one of them up, or write credentials in the lane
    no credentials for AWS; looked at: environment (AWS_ACCESS_KEY_ID not set); ~/.aws, profile default (is not there); web identity (AWS_WEB_IDENTITY_TOKEN_FILE not set); container (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_CREDENTIALS_FULL_URI not set); instance metadata (AWS_EC2_METADATA_DISABLED is set). Set one of them up, or write credentials in the lane
    AWS_PROFILE is set: ~/.aws, profile elsewhere (is not there)
    ");
}

#[tokio::test]
async fn profiles_of_every_kind_give_their_key() {
    let service = Service::start(cloud).await;
    let mut shell = Shell::new();
    let token = shell.home.file("token", "PODTOKEN");
    let program = shell.home.file(
        "printed",
        r#"{"Version":1,"AccessKeyId":"program","SecretAccessKey":"s","SessionToken":"t","Expiration":"2099-01-02T03:04:05Z"}"#,
    );
    shell.home.file(
        ".aws/config",
        &format!(
            "[profile base]\naws_access_key_id = base\naws_secret_access_key = s\n\
             [profile role]\nrole_arn = arn:aws:iam::111122223333:role/r\nsource_profile = base\nexternal_id = e\n\
             role_session_name = me\n\
             [profile web]\nrole_arn = arn:aws:iam::111122223333:role/w\nweb_identity_token_file = {token}\n\
             role_session_name = me\n\
             [profile program]\ncredential_process = cat {program}\n\
             [profile half]\naws_access_key_id = half\n\
             [sso-session s]\nsso_start_url = https://acme.awsapps.com/start\nsso_region = eu-central-1\n\
             [profile sso]\nsso_session = s\nsso_account_id = 111122223333\nsso_role_name = admin\n"
        ),
    );
    // What `aws sso login` leaves: the name is the hash of the session's.
    shell.home.file(
        ".aws/sso/cache/a0f1490a20d0211c997b44bc357e1972deab8ae3.json",
        r#"{"accessToken":"SSOTOKEN","expiresAt":"2099-01-02T03:04:05Z","region":"eu-central-1","startUrl":"https://acme.awsapps.com/start"}"#,
    );
    shell.env("AWS_ENDPOINT_URL_STS", &service.url).env("AWS_ENDPOINT_URL_SSO", &service.url);
    let mut told = Vec::new();
    for name in ["base", "role", "web", "program", "half", "sso", "none"] {
        told.push(shell.lane(&format!("{{profile: {name}}}")).told().await);
    }
    shell.env("AWS_PROFILE", "base");
    told.push(shell.lane("").told().await);
    let own = shell.home.file("own", "[default]\naws_access_key_id = own\naws_secret_access_key = s\n[base]\naws_access_key_id = own-base\naws_secret_access_key = s\n");
    shell.without("AWS_PROFILE");
    told.push(shell.lane(&format!("{{credentials_file: '{own}'}}")).told().await);
    assert_snapshot!(told.join("\n"), @r"
    base/s/-/- - @ ~/.aws, profile base
    [AssumeRole of arn:aws:iam::111122223333:role/r as me by base e - in eu-central-1]/s/t/111122223333 2099-01-02T03:04:05Z @ ~/.aws, profile role
    [AssumeRoleWithWebIdentity of arn:aws:iam::111122223333:role/w as me by token PODTOKEN - - in -]/s/t/111122223333 2099-01-02T03:04:05Z @ ~/.aws, profile web
    program/s/t/- 2099-01-02T03:04:05Z @ ~/.aws, profile program
    ~/.aws, profile half: the credentials provider was not properly configured: ProfileFile provider could not be built: invalid credential source in `half`: profile missing aws_secret_access_key
    sso/s/t/111122223333 2099-01-01T01:04:05Z @ ~/.aws, profile sso
    no credentials for AWS: ~/.aws, profile none (is not there)
    base/s/-/- - @ ~/.aws, profile base
    own/s/-/- - @ HOME/own, profile default
    ");
}

#[tokio::test]
async fn a_role_is_taken_from_any_base_in_the_region_of_this_machine_or_of_the_lane() {
    let service = Service::start(cloud).await;
    let mut shell = Shell::new();
    shell.home.file(".aws/credentials", "[base]\naws_access_key_id = base\naws_secret_access_key = s\n");
    shell.env("TAGMILL_TEST_CALLER", "1");
    let role = "role_arn: 'arn:aws:iam::111122223333:role/tagger', external_id: agreed, session_name: me";
    let place = format!("sts_endpoint: '{}'", service.url);
    let mut told = vec![
        shell.lane(&format!("{{assume_role: {{{role}, source_profile: base, duration: 30m}}, {place}}}")).told().await,
    ];
    shell.env("AWS_ACCESS_KEY_ID", "env").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_REGION", "us-west-2");
    told.push(shell.lane(&format!("{{assume_role: {{{role}}}, {place}}}")).told().await);
    shell.env("AWS_REGION", "cn-north-1");
    told.push(shell.lane(&format!("{{source: environment, assume_role: {{{role}}}, {place}}}")).told().await);
    shell.env("AWS_ENDPOINT_URL", &service.url).without("AWS_REGION");
    told.push(shell.lane("").told().await);
    assert_snapshot!(told.join("\n"), @r#"
    [AssumeRole of arn:aws:iam::111122223333:role/tagger as me by base agreed 1800 in eu-central-1]/s/t/111122223333 2099-01-02T03:04:05Z @ role arn:aws:iam::111122223333:role/tagger taken with ~/.aws, profile base
    Ok(Identity { account: "111122223333", principal: Some("arn:aws:iam::111122223333:user/ann"), place: "role arn:aws:iam::111122223333:role/tagger taken with ~/.aws, profile base", expires_at: Some(2099-01-02T03:04:05Z) })
    [AssumeRole of arn:aws:iam::111122223333:role/tagger as me by env agreed - in us-west-2]/s/t/111122223333 2099-01-02T03:04:05Z @ role arn:aws:iam::111122223333:role/tagger taken with environment: AWS_ACCESS_KEY_ID
    Ok(Identity { account: "111122223333", principal: Some("arn:aws:iam::111122223333:user/ann"), place: "role arn:aws:iam::111122223333:role/tagger taken with environment: AWS_ACCESS_KEY_ID", expires_at: Some(2099-01-02T03:04:05Z) })
    [AssumeRole of arn:aws:iam::111122223333:role/tagger as me by env agreed - in eu-central-1]/s/t/111122223333 2099-01-02T03:04:05Z @ role arn:aws:iam::111122223333:role/tagger taken with environment: AWS_ACCESS_KEY_ID
    Ok(Identity { account: "111122223333", principal: Some("arn:aws:iam::111122223333:user/ann"), place: "role arn:aws:iam::111122223333:role/tagger taken with environment: AWS_ACCESS_KEY_ID", expires_at: Some(2099-01-02T03:04:05Z) })
    env/s/-/- - @ environment: AWS_ACCESS_KEY_ID
    Ok(Identity { account: "111122223333", principal: Some("arn:aws:iam::111122223333:user/ann"), place: "environment: AWS_ACCESS_KEY_ID", expires_at: None })
    "#);
}

#[tokio::test]
async fn what_is_set_up_and_does_not_work_is_an_error_and_the_next_is_not_asked() {
    let refusing = Service::start(|_| {
        answer(
            403,
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized to perform: \
             sts:AssumeRole</Message></Error><RequestId>r</RequestId></ErrorResponse>",
        )
    })
    .await;
    let mut shell = Shell::new();
    let token = shell.home.file("token", "PODTOKEN");
    shell.env("AWS_ENDPOINT_URL_STS", &refusing.url);
    let mut told = Vec::new();
    shell.env("AWS_ACCESS_KEY_ID", "env");
    told.push(shell.told().await);
    shell.env("AWS_SECRET_ACCESS_KEY", "SECRETKEY");
    told.push(shell.lane("{assume_role: {role_arn: 'arn:aws:iam::111122223333:role/r'}}").told().await);
    shell.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY").lane("");
    shell.env("AWS_WEB_IDENTITY_TOKEN_FILE", &token);
    told.push(shell.told().await);
    shell.env("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/pod");
    told.push(shell.told().await);
    shell.without("AWS_WEB_IDENTITY_TOKEN_FILE");
    shell.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1/");
    told.push(shell.told().await);
    let told = told.join("\n");
    assert!(!told.contains("SECRETKEY") && !told.contains("PODTOKEN"), "{told}");
    assert_snapshot!(told, @r#"
    environment: AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not
    the role arn:aws:iam::111122223333:role/r cannot be taken with the credentials from environment: AWS_ACCESS_KEY_ID (AccessDenied: not authorized to perform: sts:AssumeRole); check the role, whom it trusts, and the external id
    web identity: AWS_WEB_IDENTITY_TOKEN_FILE is set and AWS_ROLE_ARN is not
    web identity: a role for the token in HOME/token: an error occurred while loading credentials: service error: unhandled error (AccessDenied): Error { code: "AccessDenied", message: "not authorized to perform: sts:AssumeRole" }
    container: the credentials provider was not properly configured: invalid full URI for ECS provider (URI did not refer to an allowed IP address): http://192.0.2.1/
    "#);
}

#[test]
fn a_region_tells_its_partition_and_lanes_of_one_partition_share() {
    for (region, partition) in [
        ("eu-central-1", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-west-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-isob-east-1", "aws-iso-b"),
    ] {
        assert_eq!(aws::partition(region), partition);
    }
    let credentials = Credentials {
        base: Base::Only(Source::Environment),
        role: Some(Role { arn: "a".into(), external_id: None, session_name: "s".into(), duration: None }),
        ..Credentials::default()
    };
    let wanted = |region: &str| Wanted {
        cloud: Cloud::Aws,
        site: aws::partition(region).into(),
        region: region.into(),
        credentials: credentials.clone(),
    };
    assert!(wanted("eu-central-1") == wanted("us-east-1") && wanted("eu-central-1") != wanted("cn-north-1"));
}
