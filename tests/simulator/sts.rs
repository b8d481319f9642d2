//! The token services: who a key belongs to, roles of another account, sessions that sign like keys and end.

use crate::{
    client::{Alibaba, ECS, Huawei, Reply, World, borrowed, cloud, instances, start},
    sign,
};
use jiff::SignedDuration;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use tagmill::{
    sim::{Faults, well_known},
    worker::clock,
};

const STS: &str = "2015-04-01";

/// Two accounts a vendor: the well-known one, and one with a role.
async fn accounts() -> World {
    start(|clouds| {
        for (name, own, other) in [("alibaba-ecs", "1001", "2002"), ("aws-tagging", "123456789012", "222222222222")] {
            cloud(clouds, name).account_id = Some(own.into());
            let mut second = cloud(clouds, name).clone();
            second.name = format!("other-{name}");
            (second.access_key, second.secret_key) = (format!("OTHER-{name}"), SecretString::from("other"));
            second.account_id = Some(other.into());
            second.external_id = Some("agreed".into());
            second.token_ttl_s = 1800;
            clouds.push(second);
        }
    })
    .await
}

async fn alibaba(world: &World, how: &Alibaba, action: &str, parameters: &[(&str, &str)]) -> Reply {
    world.alibaba(how, STS, action, parameters).await
}

fn role<'r>(arn: &'r str, external: &'r str, seconds: &'r str) -> [(&'r str, &'r str); 4] {
    [("RoleArn", arn), ("RoleSessionName", "me"), ("ExternalId", external), ("DurationSeconds", seconds)]
}

const TAGGER: &str = "acs:ram::2002:role/tagger";

#[tokio::test]
async fn a_role_is_given_for_the_right_words_only_and_its_session_signs_until_it_ends() {
    let world = accounts().await;
    for v1 in [false, true] {
        let how = Alibaba { v1, form: true, ..Alibaba::default() };
        let who = alibaba(&world, &how, "GetCallerIdentity", &[]).await.json();
        assert_eq!((&who["AccountId"], &who["Arn"]), (&json!("1001"), &json!("acs:ram::1001:user/sim")));
        let given = alibaba(&world, &how, "AssumeRole", &role(TAGGER, "agreed", "900")).await;
        assert_eq!(given.status, 200, "{}", given.text);
        let given = given.json();
        let text = |name: &str| -> &'static str { given["Credentials"][name].as_str().unwrap().to_owned().leak() };
        let session = || Alibaba {
            access: text("AccessKeyId"),
            secret: text("AccessKeySecret"),
            security_token: Some(text("SecurityToken")),
            v1,
            form: true,
            ..Alibaba::default()
        };
        let who = alibaba(&world, &session(), "GetCallerIdentity", &[]).await.json();
        assert_eq!((&who["AccountId"], &who["IdentityType"]), (&json!("2002"), &json!("AssumedRoleUser")));
        let tag = |how: Alibaba| {
            let world = &world;
            async move { world.alibaba(&how, ECS, "TagResources", &borrowed(&instances(&["i-1"]))).await }
        };
        assert_eq!(tag(session()).await.status, 200);
        assert_eq!(world.sim.tags("other-alibaba-ecs").len(), 1, "it acts in the role's account");
        tag(Alibaba { security_token: None, ..session() }).await.is(400, "MissingSecurityToken");
        tag(Alibaba { security_token: Some("x"), ..session() })
            .await
            .is(400, "InvalidSecurityToken.MismatchWithAccessKey");
        tag(Alibaba { secret: "x", ..session() }).await.is(400, "SignatureDoesNotMatch");
        let epoch = world.sim.faults("other-alibaba-ecs").unwrap().token_epoch + 1;
        world.sim.set_faults("other-alibaba-ecs", Faults { token_epoch: epoch, ..Faults::default() }).unwrap();
        tag(session()).await.is(400, "InvalidSecurityToken.Expired");
    }
    let how = Alibaba::default();
    for (arn, external, seconds, status, code) in [
        (TAGGER, "wrong", "900", 403, "NoPermission"),
        ("acs:ram::2003:role/tagger", "agreed", "900", 404, "EntityNotExist.Role"),
        ("acs:ram::2002:user/x", "agreed", "900", 400, "InvalidParameter.RoleArn"),
        (TAGGER, "agreed", "60", 400, "InvalidParameter.DurationSeconds"),
    ] {
        alibaba(&world, &how, "AssumeRole", &role(arn, external, seconds)).await.is(status, code);
    }
    let name = [("RoleArn", TAGGER), ("RoleSessionName", "a b"), ("ExternalId", "agreed")];
    alibaba(&world, &how, "AssumeRole", &name).await.is(400, "InvalidParameter.RoleSessionName");
    alibaba(&world, &how, "AssumeRole", &name[..1]).await.is(400, "InvalidParameter.RoleSessionName");
    let who = |how: Alibaba| {
        let world = &world;
        async move { alibaba(world, &how, "GetCallerIdentity", &[]).await }
    };
    who(Alibaba { secret: "x", ..Alibaba::default() }).await.is(400, "SignatureDoesNotMatch");
    who(Alibaba { access: "x", ..Alibaba::default() }).await.is(404, "InvalidAccessKeyId.NotFound");
    who(Alibaba { off_by: 1000, ..Alibaba::default() }).await.is(400, "InvalidTimeStamp.Expired");
    assert_eq!(who(Alibaba { nonce: Some("n"), ..Alibaba::default() }).await.status, 200);
    who(Alibaba { nonce: Some("n"), ..Alibaba::default() }).await.is(400, "SignatureNonceUsed");
    alibaba(&world, &how, "DeleteEverything", &[]).await.is(404, "InvalidAction.NotFound");
    assert_eq!(world.sim.counts("other-alibaba-ecs").tokens_issued, 2);
}

#[tokio::test]
async fn a_pods_token_is_good_for_a_role_of_its_account_and_for_no_other() {
    let world = start(|clouds| {
        let cloud = cloud(clouds, "alibaba-ecs");
        (cloud.account_id, cloud.oidc_token) = (Some("1001".into()), Some(SecretString::from("POD")));
    })
    .await;
    let ask = |token: &'static str, provider: &'static str, role: &'static str| {
        let world = &world;
        async move {
            let form = sign::query(
                &[("OIDCToken", token), ("OIDCProviderArn", provider), ("RoleArn", role), ("RoleSessionName", "pod")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
            );
            let headers = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
            let target = format!("/?Action=AssumeRoleWithOIDC&Version={STS}&Format=JSON");
            world.send(Method::POST, &target, &headers, form.into_bytes()).await.unwrap()
        }
    };
    let (provider, role) = ("acs:ram::1001:oidc-provider/ack", "acs:ram::1001:role/pod");
    let given = ask("POD", provider, role).await;
    assert_eq!(given.status, 200, "{}", given.text);
    ask("X", provider, role).await.is(400, "AuthenticationFail.OIDCToken.Invalid");
    ask("POD", "acs:ram::1001:user/x", role).await.is(400, "AuthenticationFail.OIDCToken.Invalid");
    ask("POD", provider, "acs:ram::2002:role/pod").await.is(403, "NoPermission");
}

/// A key at AWS, and whether the request is right in every way.
#[derive(Clone)]
struct Aws {
    access: String,
    secret: String,
    token: Option<String>,
    service: &'static str,
    off_by: i64,
}

impl Default for Aws {
    fn default() -> Self {
        let (access, secret) = (well_known::AWS_ACCESS_KEY.to_owned(), well_known::AWS_SECRET_KEY.to_owned());
        Self { access, secret, token: None, service: "sts", off_by: 0 }
    }
}

/// The text of an element of the answer, its status, and its code.
async fn aws(world: &World, how: &Aws, action: &str, parameters: &[(&str, &str)]) -> Reply {
    let mut pairs = vec![("Action".to_owned(), action.to_owned()), ("Version".to_owned(), "2011-06-15".to_owned())];
    pairs.extend(parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let body = sign::query(&pairs);
    let now = clock::wall().checked_add(SignedDuration::from_secs(how.off_by)).unwrap();
    let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
        ("host".to_owned(), world.sim.addr().to_string()),
        ("x-amz-date".to_owned(), stamp.clone()),
    ];
    headers.extend(how.token.clone().map(|token| ("x-amz-security-token".to_owned(), token)));
    let (scope, parts) = (("eu-central-1", how.service, stamp.as_str()), ("POST", "/", "", body.as_bytes()));
    headers.push(("authorization".to_owned(), sign::aws((&how.access, &how.secret), scope, parts, &headers)));
    world.send(Method::POST, "/", &headers, body.into_bytes()).await.unwrap()
}

fn element(reply: &Reply, name: &str) -> String {
    let inner = reply.text.split(&format!("<{name}>")).nth(1).and_then(|rest| rest.split("</").next());
    inner.unwrap_or_else(|| panic!("no {name}: {}", reply.text)).to_owned()
}

#[tokio::test]
async fn aws_gives_roles_and_takes_their_sessions_as_strictly() {
    let world = accounts().await;
    let role = |arn: &'static str, external: &'static str| {
        [("RoleArn", arn), ("RoleSessionName", "me"), ("ExternalId", external), ("DurationSeconds", "3600")]
    };
    let arn = "arn:aws:iam::222222222222:role/tagger";
    let who = aws(&world, &Aws::default(), "GetCallerIdentity", &[]).await;
    assert_eq!((who.status, element(&who, "Account")), (200, "123456789012".to_owned()));
    let given = aws(&world, &Aws::default(), "AssumeRole", &role(arn, "agreed")).await;
    assert_eq!(given.status, 200, "{}", given.text);
    let end: jiff::Timestamp = element(&given, "Expiration").parse().unwrap();
    assert!(end.duration_since(clock::wall()).as_secs() <= 1800, "at most what the account allows");
    let session = Aws {
        access: element(&given, "AccessKeyId"),
        secret: element(&given, "SecretAccessKey"),
        token: Some(element(&given, "SessionToken")),
        ..Aws::default()
    };
    let who = aws(&world, &session, "GetCallerIdentity", &[]).await;
    assert_eq!(element(&who, "Arn"), "arn:aws:sts::222222222222:assumed-role/tagger/me");
    let refused = |reply: Reply| (reply.status, element(&reply, "Code"));
    for (how, status, code) in [
        (Aws { secret: "x".into(), ..Aws::default() }, 403, "SignatureDoesNotMatch"),
        (Aws { service: "s3", ..Aws::default() }, 403, "SignatureDoesNotMatch"),
        (Aws { off_by: -1000, ..Aws::default() }, 403, "SignatureDoesNotMatch"),
        (Aws { access: "x".into(), ..Aws::default() }, 403, "InvalidClientTokenId"),
        (Aws { token: None, ..session.clone() }, 403, "InvalidClientTokenId"),
        (Aws { token: Some("x".into()), ..session.clone() }, 403, "InvalidClientTokenId"),
    ] {
        let reply = aws(&world, &how, "GetCallerIdentity", &[]).await;
        assert_eq!(refused(reply), (status, code.to_owned()));
    }
    for (arn, external, code) in [
        (arn, "wrong", "AccessDenied"),
        ("arn:aws:iam::333333333333:role/tagger", "agreed", "AccessDenied"),
        ("tagger", "agreed", "ValidationError"),
    ] {
        let reply = aws(&world, &Aws::default(), "AssumeRole", &role(arn, external)).await;
        assert_eq!(refused(reply).1, code);
    }
    let reply = aws(&world, &Aws::default(), "DeleteEverything", &[]).await;
    assert_eq!(refused(reply), (400, "InvalidAction".to_owned()));
    world.sim.set_faults("other-aws-tagging", Faults { token_epoch: 1, ..Faults::default() }).unwrap();
    assert_eq!(refused(aws(&world, &session, "GetCallerIdentity", &[]).await), (403, "ExpiredToken".to_owned()));
    world.sim.reset();
    assert_eq!(refused(aws(&world, &session, "GetCallerIdentity", &[]).await).1, "InvalidClientTokenId");
}

#[tokio::test]
async fn huawei_says_whose_a_key_and_a_token_is() {
    let world = accounts().await;
    let how = Huawei { domain: None, ..Huawei::default() };
    let who = world.huawei(&how, Method::GET, "/v5/caller-identity", "").await;
    assert_eq!(who.status, 200, "{}", who.text);
    let domain = well_known::HUAWEI_DOMAIN_ID;
    assert_eq!(who.json()["principal_urn"], json!(format!("iam::{domain}:user:sim-user")));
    let wrong = Huawei { secret: "x", ..Huawei::default() };
    assert_eq!(world.huawei(&wrong, Method::GET, "/v5/caller-identity", "").await.status, 401);
    let login: Value = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "domain": {"name": well_known::HUAWEI_DOMAIN}, "name": well_known::HUAWEI_USER,
        "password": well_known::HUAWEI_PASSWORD}}}, "scope": {"domain": {"name": well_known::HUAWEI_DOMAIN}}}});
    let token = world.post("/v3/auth/tokens", &login).await.header("x-subject-token").to_owned();
    let headers = ["x-auth-token", "x-subject-token"].map(|name| (name.to_owned(), token.clone()));
    let owner = world.send(Method::GET, "/v3/auth/tokens", &headers, vec![]).await.unwrap().json();
    assert_eq!(owner["token"]["user"]["domain"]["id"], json!(domain));
    assert_eq!(world.send(Method::GET, "/v3/auth/tokens", &headers[..1], vec![]).await.unwrap().status, 404);
    let how = Huawei { token: Some(token), ..Huawei::default() };
    assert_eq!(world.huawei(&how, Method::GET, "/v5/caller-identity", "").await.status, 401, "it takes no tokens");
}
