//! The Security Token Service (2015-04-01): taking a role, and asking who we are. Sending is the worker's.

use super::{
    classify,
    encode::{Params, rpc_unsigned, rpc_v1},
};
use crate::provider::{Credential, Endpoint, Failure, HttpReply, HttpRequest, Kind, Moment, classify::truncated};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

const VERSION: &str = "2015-04-01";

/// A role, and how to take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `acs:ram::ACCOUNT:role/NAME`.
    pub arn: String,
    /// How the session is called in the account's trail; 2 to 64 characters.
    pub session_name: String,
    /// What the role's owner has agreed on with us.
    pub external_id: Option<String>,
    /// Narrows the role's rights, as JSON.
    pub policy: Option<String>,
    /// How long the session lasts; at least 900, at most what the role allows.
    pub seconds: u32,
}

/// A temporary key and its end.
#[derive(Clone, Debug)]
pub struct Session {
    /// What signs from now on.
    pub credential: Credential,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Who a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's number.
    pub account: String,
    /// The user or role, as an ARN.
    pub arn: String,
}

/// Where the service is: an endpoint as somebody wrote it, with or without a scheme, or the host of a region. The global
/// host, where nothing is said, is in Hangzhou.
pub fn endpoint(written: Option<&str>, region: Option<&str>, vpc: bool) -> Result<Endpoint, String> {
    if let Some(text) = written {
        return Endpoint::parse(&if text.contains("://") { text.to_owned() } else { format!("https://{text}") });
    }
    let Some(region) = region else { return Ok(Endpoint::of_host("sts.aliyuncs.com")) };
    crate::provider::endpoint::check_region(region)?;
    Ok(Endpoint::of_host(&format!("sts{}.{region}.aliyuncs.com", if vpc { "-vpc" } else { "" })))
}

/// AssumeRole, signed by the identity that takes the role.
pub fn assume_role(endpoint: &Endpoint, role: &Role, credential: &Credential, at: &Moment) -> HttpRequest {
    let mut params = params(role);
    params.extend(role.external_id.clone().map(|id| ("ExternalId".to_owned(), id)));
    rpc_v1(endpoint, ("AssumeRole", VERSION), &params, credential, at)
}

/// AssumeRoleWithOIDC. The token is the proof, so there is no signature; it goes in the body, where no log looks.
pub fn assume_role_with_oidc(
    endpoint: &Endpoint,
    role: &Role,
    provider_arn: &str,
    token: &SecretString,
    at: &Moment,
) -> HttpRequest {
    let mut params = params(role);
    params.push(("OIDCProviderArn".into(), provider_arn.into()));
    params.push(("OIDCToken".into(), token.expose_secret().into()));
    rpc_unsigned(endpoint, ("AssumeRoleWithOIDC", VERSION), &params, at)
}

/// GetCallerIdentity. Every key may ask it.
pub fn caller_identity(endpoint: &Endpoint, credential: &Credential, at: &Moment) -> HttpRequest {
    rpc_v1(endpoint, ("GetCallerIdentity", VERSION), &Vec::new(), credential, at)
}

fn params(role: &Role) -> Params {
    let mut params: Params = vec![
        ("DurationSeconds".into(), role.seconds.to_string()),
        ("RoleArn".into(), role.arn.clone()),
        ("RoleSessionName".into(), role.session_name.clone()),
    ];
    params.extend(role.policy.clone().map(|policy| ("Policy".to_owned(), policy)));
    params
}

/// The session in an answer to one of the two.
pub fn session(reply: &HttpReply) -> Result<Session, Box<Failure>> {
    let body = body(reply)?;
    let credentials = body.get("Credentials").and_then(key);
    credentials.ok_or_else(|| Box::new(truncated(reply, None)))
}

/// The caller in an answer to GetCallerIdentity.
pub fn caller(reply: &HttpReply) -> Result<Caller, Box<Failure>> {
    let body = body(reply)?;
    let text = |name: &str| body.get(name)?.as_str().map(str::to_owned);
    match (text("AccountId"), text("Arn")) {
        (Some(account), Some(arn)) => Ok(Caller { account, arn }),
        _ => Err(Box::new(truncated(reply, None))),
    }
}

/// A temporary key as STS, the metadata service and credentials URIs write it. A key without an end has no `Expiration`.
pub fn key(value: &Value) -> Option<Session> {
    let text = |name: &str| value.get(name)?.as_str().filter(|text| !text.is_empty());
    Some(Session {
        credential: Credential::Key {
            access_key: text("AccessKeyId")?.to_owned(),
            secret_key: text("AccessKeySecret")?.into(),
            security_token: text("SecurityToken").map(Into::into),
            account: None,
        },
        expires_at: text("Expiration").and_then(|text| text.parse().ok()),
    })
}

/// A refusal is [`Kind::Auth`] whatever its code: here everything is about who we are.
fn body(reply: &HttpReply) -> Result<Value, Box<Failure>> {
    if !reply.is_success() {
        let mut failure = classify::whole(reply, &[]);
        if matches!(failure.kind, Kind::Denied | Kind::Rejected) {
            failure.kind = Kind::Auth;
        }
        return Err(Box::new(failure));
    }
    serde_json::from_slice(&reply.body).map_err(|_| Box::new(truncated(reply, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Moment {
        Moment { now: "2025-01-02T03:04:05Z".parse().expect("a time"), nonce: "n-1".into() }
    }

    fn role() -> Role {
        Role {
            arn: "acs:ram::1001:role/tagger".into(),
            session_name: "tagmill".into(),
            external_id: Some("x y".into()),
            policy: None,
            seconds: 3600,
        }
    }

    fn reply(status: u16, body: &str) -> HttpReply {
        HttpReply { status, headers: Vec::new(), body: body.into() }
    }

    #[test]
    fn the_place_is_the_written_one_or_that_of_the_region() {
        let base = |written, region, vpc| endpoint(written, region, vpc).map(|endpoint| endpoint.base);
        assert_eq!(base(None, None, true).as_deref(), Ok("https://sts.aliyuncs.com"));
        assert_eq!(base(None, Some("cn-beijing"), false).as_deref(), Ok("https://sts.cn-beijing.aliyuncs.com"));
        assert_eq!(base(None, Some("cn-beijing"), true).as_deref(), Ok("https://sts-vpc.cn-beijing.aliyuncs.com"));
        assert_eq!(base(Some("http://127.0.0.1:1/"), Some("x"), true).as_deref(), Ok("http://127.0.0.1:1"));
        assert_eq!(base(Some("sts.x.example"), None, false).as_deref(), Ok("https://sts.x.example"));
        assert!(base(None, Some("evil/"), false).is_err());
    }

    #[test]
    fn taking_a_role_is_signed_and_says_who_agreed_and_a_token_is_in_the_body_alone() {
        let key = Credential::Key {
            access_key: "AK".into(),
            secret_key: "SECRET".into(),
            security_token: None,
            account: None,
        };
        let endpoint = Endpoint::of_host("sts.aliyuncs.com");
        let request = assume_role(&endpoint, &role(), &key, &at());
        let body = String::from_utf8(request.body).expect("text");
        assert_eq!(
            body,
            "DurationSeconds=3600&ExternalId=x+y&RoleArn=acs%3Aram%3A%3A1001%3Arole%2Ftagger&RoleSessionName=tagmill"
        );
        assert!(request.url.contains("Action=AssumeRole&") && request.url.contains("&Signature="), "{}", request.url);
        assert!(!request.url.contains("SECRET"));
        let request = assume_role_with_oidc(&endpoint, &role(), "acs:ram::1:oidc-provider/x", &"TOKEN".into(), &at());
        assert!(!request.url.contains("TOKEN") && !request.url.contains("Signature"), "{}", request.url);
        let body = String::from_utf8(request.body).expect("text");
        assert!(body.contains("OIDCToken=TOKEN") && !body.contains("ExternalId"), "{body}");
    }

    #[test]
    fn a_session_has_an_end_and_a_refusal_is_about_who_we_are() {
        let body = r#"{"RequestId":"r","Credentials":{"AccessKeyId":"STS.x","AccessKeySecret":"s","SecurityToken":"t",
            "Expiration":"2025-01-02T04:04:05Z"}}"#;
        let found = session(&reply(200, body)).expect("a session");
        assert_eq!(found.expires_at, "2025-01-02T04:04:05Z".parse().ok());
        assert!(matches!(found.credential, Credential::Key { security_token: Some(_), .. }));
        for body in ["{}", "{", r#"{"Credentials":{"AccessKeyId":""}}"#] {
            assert!(session(&reply(200, body)).is_err_and(|failure| failure.kind == Kind::Transient), "{body}");
        }
        for (status, code) in
            [(404, "EntityNotExist.Role"), (403, "NoPermission"), (400, "AuthenticationFail.NoPermission")]
        {
            let body = format!(r#"{{"Code":"{code}","Message":"no"}}"#);
            let failure = session(&reply(status, &body)).expect_err("a refusal");
            assert_eq!((failure.kind, failure.code.as_str()), (Kind::Auth, code));
        }
        assert!(session(&reply(503, "")).is_err_and(|failure| failure.kind == Kind::Transient));
        let body = r#"{"AccountId":"1001","Arn":"acs:ram::1001:user/ann","IdentityType":"RAMUser"}"#;
        let who = caller(&reply(200, body)).expect("a caller");
        assert_eq!((who.account.as_str(), who.arn.as_str()), ("1001", "acs:ram::1001:user/ann"));
    }
}
