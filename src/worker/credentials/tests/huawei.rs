//! Huawei Cloud's sources, one by one and in their order, and whose a key is.

use super::{Answer, Home, NOBODY, Seen, Service, answer};
use crate::config::{Base, Cloud, Secret, Source};
use insta::assert_snapshot;

fn home() -> Home {
    Home::of(Cloud::Huawei)
}

/// IAM, STS, the metadata service and a pod's endpoint in one.
fn cloud(seen: &Seen) -> Answer {
    let token = |text: &str| {
        (
            201,
            vec![("x-subject-token", text.to_owned())],
            r#"{"token":{"expires_at":"2099-01-02T03:04:05.000000Z"}}"#.into(),
        )
    };
    match seen.what().as_str() {
        "GET /v3/auth/domains" => {
            assert!(seen.header("authorization").starts_with("SDK-HMAC-SHA256 Access="), "{seen:?}");
            assert_eq!(seen.header("x-domain-id"), "");
            answer(200, r#"{"domains":[{"id":"looked-up","name":"x"}]}"#)
        }
        "POST /v3/auth/tokens" if seen.body.contains("\"right\"") => token("login-token"),
        "POST /v3/auth/tokens" => {
            answer(401, r#"{"error":{"code":401,"message":"The username or password is wrong."}}"#)
        }
        "POST /v3.0/OS-AUTH/id-token/tokens" => {
            assert_eq!(
                (seen.header("x-idp-id"), seen.body.as_str()),
                ("idp", r#"{"auth":{"id_token":{"id":"TOKEN"}}}"#)
            );
            token("unscoped")
        }
        "POST /v3.0/OS-CREDENTIAL/securitytokens" => {
            assert!(seen.body.contains(r#""id":"unscoped""#), "{}", seen.body);
            answer(
                201,
                r#"{"credential":{"access":"f","secret":"fs","securitytoken":"ft","expires_at":"2099-01-02T03:04:05.000000Z"}}"#,
            )
        }
        "PUT /meta-data/latest/api/token" => {
            assert_eq!(seen.header("x-metadata-token-ttl-seconds"), "21600");
            answer(200, "metadata-token")
        }
        "GET /openstack/latest/securitykey" if seen.header("x-metadata-token") == "metadata-token" => answer(
            200,
            r#"{"credential":{"access":"i","secret":"is","securitytoken":"it","expires_at":"2099-01-02T03:04:05.000000Z"}}"#,
        ),
        "POST /pod" if seen.header("authorization") == "TOKEN" => answer(
            200,
            r#"{"credentials":{"accessKeyId":"p","secretAccessKey":"ps","securityToken":"pt","expiration":"2099-01-02T03:04:05.000Z"}}"#,
        ),
        _ => answer(404, "no"),
    }
}

#[tokio::test]
async fn the_chain_is_walked_in_order_and_says_every_place_it_looked_at() {
    let service = Service::start(cloud).await;
    let mut home = home();
    home.places().iam = Some(service.url.clone());
    home.places().metadata = Some(service.url.clone());
    let token = home.file("token", "TOKEN\n");
    home.env("HUAWEICLOUD_SDK_AK", "a").env("HUAWEICLOUD_SDK_SK", "s").env("HUAWEICLOUD_SDK_SECURITY_TOKEN", "t");
    home.env("HUAWEICLOUD_SDK_DOMAIN_ID", "d").env("HW_ACCESS_KEY", "tf").env("HW_SECRET_KEY", "s");
    home.env("HW_USER_NAME", "u").env("HW_USER_PASSWORD", "right").env("HW_DOMAIN_NAME", "acme");
    home.env("HUAWEICLOUD_SDK_IDP_ID", "idp").env("HUAWEICLOUD_SDK_ID_TOKEN_FILE", &token);
    home.env("HC_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/pod", service.url));
    home.env("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token);
    home.file(".huaweicloud/credentials", "[basic]\nak = no\nsk = no\n[global]\nak = file\nsk = s # secret\n");
    let mut told = vec![home.told().await];
    for names in [
        &["HUAWEICLOUD_SDK_IDP_ID", "HUAWEICLOUD_SDK_ID_TOKEN_FILE"][..],
        &["HUAWEICLOUD_SDK_AK", "HUAWEICLOUD_SDK_SK"],
        &["HW_ACCESS_KEY", "HW_SECRET_KEY"],
        &["HW_USER_NAME", "HW_USER_PASSWORD"],
    ] {
        for name in names {
            home.without(name);
        }
        told.push(home.told().await);
    }
    home.remove(".huaweicloud/credentials");
    told.push(home.told().await);
    home.without("HC_CONTAINER_CREDENTIALS_FULL_URI").without("HC_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    told.push(home.told().await);
    home.places().metadata = Some(NOBODY.into());
    told.push(home.told().await);
    assert_snapshot!(told.join("\n").replace(&service.url, "SERVICE"), @r"
    f/fs/ft/looked-up 2099-01-02T03:04:05Z @ web identity: a key for the token in HOME/token
    a/s/t/d - @ environment: HUAWEICLOUD_SDK_AK
    tf/s/-/looked-up - @ environment: HW_ACCESS_KEY
    token login-token 2099-01-02T03:04:05Z @ environment: HW_USER_NAME, login as acme/u
    file/s/-/looked-up - @ HOME/.huaweicloud/credentials, section global
    p/ps/pt/looked-up 2099-01-02T03:04:05Z @ pod identity
    i/is/it/looked-up 2099-01-02T03:04:05Z @ instance metadata: the machine's agency
    no credentials for Huawei Cloud; looked at: web identity (HUAWEICLOUD_SDK_IDP_ID not set); environment (HUAWEICLOUD_SDK_AK, HW_ACCESS_KEY, HW_USER_NAME not set); HOME/.huaweicloud/credentials (no such file); pod identity (HC_CONTAINER_CREDENTIALS_FULL_URI not set); instance metadata (http://127.0.0.1:9 does not answer). Set one of them up, or write credentials in the lane
    ");
}

#[tokio::test]
async fn a_source_that_is_set_up_and_does_not_work_is_an_error_and_the_next_is_not_asked() {
    let service = Service::start(cloud).await;
    let mut told = Vec::new();
    for set in [
        &[("HUAWEICLOUD_SDK_AK", "a")][..],
        &[("HW_SECRET_KEY", "s")],
        &[("HW_USER_NAME", "u"), ("HW_USER_PASSWORD", "p")],
        &[("HW_USER_NAME", "u"), ("HW_USER_PASSWORD", "p"), ("HW_DOMAIN_NAME", "d")],
        &[("HUAWEICLOUD_SDK_IDP_ID", "idp")],
        &[("HUAWEICLOUD_SDK_IDP_ID", "idp"), ("HUAWEICLOUD_SDK_ID_TOKEN_FILE", "/no/such")],
        &[("HC_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")],
    ] {
        let mut home = home();
        home.places().iam = Some(service.url.clone());
        for (name, value) in set {
            home.env(name, value);
        }
        told.push(home.told().await);
    }
    let home = home();
    home.file(".huaweicloud/credentials", "[global]\nak = a\n");
    told.push(home.told().await);
    assert_snapshot!(told.join("\n"), @r"
    environment: HUAWEICLOUD_SDK_AK is set and HUAWEICLOUD_SDK_SK is not
    environment: HW_SECRET_KEY is set and HW_ACCESS_KEY is not
    environment: HW_USER_NAME is set and HW_DOMAIN_NAME is not
    the login at IAM failed (http_401: The username or password is wrong.); check user, password, account and endpoint
    web identity: HUAWEICLOUD_SDK_IDP_ID is set and HUAWEICLOUD_SDK_ID_TOKEN_FILE is not
    web identity: the token file /no/such: there is no such file
    pod identity: HC_CONTAINER_CREDENTIALS_FULL_URI is set and HC_CONTAINER_AUTHORIZATION_TOKEN_FILE is not
    HOME/.huaweicloud/credentials, section global: ak or sk is missing
    ");
}

#[tokio::test]
async fn the_account_of_a_key_is_looked_up_where_nobody_says_it_and_only_there() {
    let service = Service::start(cloud).await;
    let mut home = home();
    home.places().iam = Some(service.url.clone());
    let keys = |domain: Option<&str>| Base::Keys {
        access_key: Secret::Plain("a".into()),
        secret_key: Secret::Plain("s".into()),
        security_token: None,
        domain_id: domain.map(str::to_owned),
    };
    let mut told = Vec::new();
    home.base(keys(Some("said")));
    told.push(home.told().await);
    assert!(service.seen().is_empty());
    home.base(keys(None));
    told.push(home.told().await);
    home.base(Base::Token(Secret::Plain("T".into())));
    told.push(home.told().await);
    // A user who may not list accounts: the caller's own name is asked elsewhere.
    let sts = Service::start(|seen| match seen.what().as_str() {
        "GET /v5/caller-identity" => {
            answer(200, r#"{"account_id":"from-sts","principal_urn":"iam::from-sts:user:ann","principal_id":"u"}"#)
        }
        _ => answer(403, r#"{"error_code":"IAM.0002","error_msg":"not allowed"}"#),
    })
    .await;
    home.base(keys(None));
    home.places().iam = Some(sts.url.clone());
    home.places().sts = Some(sts.url.clone());
    told.push(home.told().await);
    home.places().sts = Some(NOBODY.into());
    told.push(home.told().await);
    assert_snapshot!(told.join("\n"), @r"
    a/s/-/said - @ the lane's config
    a/s/-/looked-up - @ the lane's config
    token T - @ the lane's config
    a/s/-/from-sts - @ the lane's config
    the account of the key cannot be looked up: IAM.0002: not allowed; write domain_id in the lane
    ");
}

#[tokio::test]
async fn a_file_of_the_lanes_own_is_read_and_so_is_the_environments() {
    let service = Service::start(cloud).await;
    let mut home = home();
    home.places().iam = None;
    let own = home.file("own", &format!("[global]\nak=own\nsk=s\ndomain_id=d\n# {}\n", service.url));
    let other = home.file("other", "[global]\nak=other\nsk=s\nsecurity_token=t\ndomain_id=d\n");
    let token = home.file("token", "TOKEN");
    let federated =
        home.file("fed", &format!("[global]\nidp_id=idp\nid_token_file={token}\niam_endpoint={}\n", service.url));
    home.env("HUAWEICLOUD_SDK_CREDENTIALS_FILE", &other);
    let mut told = vec![home.told().await];
    home.base(Base::File { profile: None, file: Some(own.into()) });
    told.push(home.told().await);
    home.env("HUAWEICLOUD_SDK_IAM_ENDPOINT", &service.url);
    home.base(Base::File { profile: None, file: Some(federated.into()) });
    told.push(home.told().await);
    home.base(Base::File { profile: None, file: Some("~/none".into()) });
    told.push(home.told().await);
    assert_snapshot!(told.join("\n"), @r"
    other/s/t/d - @ HOME/other, section global
    own/s/-/d - @ HOME/own, section global
    f/fs/ft/looked-up 2099-01-02T03:04:05Z @ HOME/fed, section global: a key for the token in HOME/token
    no credentials for Huawei Cloud: HOME/none (no such file)
    ");
}

#[tokio::test]
async fn an_older_metadata_service_is_asked_without_a_token_and_a_machine_without_an_agency_has_nothing() {
    let mut told = Vec::new();
    for (put, get) in [(405, 200), (503, 200), (404, 404), (200, 401), (200, 500)] {
        let service = Service::start(move |seen| match seen.method.as_str() {
            "PUT" => answer(put, "metadata-token"),
            _ if get == 200 => {
                assert_eq!(seen.header("x-metadata-token"), "");
                answer(200, r#"{"credential":{"access":"i","secret":"s","securitytoken":"t"}}"#)
            }
            _ => answer(get, "Please configure Cloud Service Agency first"),
        })
        .await;
        let iam = Service::start(cloud).await;
        let mut home = home();
        home.base(Base::Only(Source::Instance)).places().metadata = Some(service.url.clone());
        home.places().iam = Some(iam.url.clone());
        told.push(home.told().await.replace(&service.url, "SERVICE"));
    }
    assert_snapshot!(told.join("\n"), @r"
    i/s/t/looked-up - @ instance metadata: the machine's agency
    i/s/t/looked-up - @ instance metadata: the machine's agency
    no credentials for Huawei Cloud: instance metadata (SERVICE knows no agency of this machine)
    no credentials for Huawei Cloud: instance metadata (SERVICE knows no agency of this machine)
    instance metadata: SERVICE hands out no key (HTTP 500)
    ");
}
