//! Identity and Access Management: whose a key or token is, and a key for a federated token. Sending is the worker's.

use super::{classify, endpoints, sign::sign};
use crate::provider::{
    Credential, Endpoint, Failure, HttpReply, HttpRequest, Kind, Method, Moment, classify::truncated,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// How long a key for a federated token lasts: what the vendor's SDK asks for.
const FEDERATED_SECONDS: u32 = 6 * 60 * 60;

/// A temporary key and its end.
#[derive(Clone, Debug)]
pub struct Session {
    /// What signs from now on.
    pub credential: Credential,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// Who a credential belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The account's id, called domain in the API.
    pub account: String,
    /// The user or agency, as a URN.
    pub principal: String,
}

/// IAM's endpoint: the written one, or the region's, or the global one where no region is given.
pub fn endpoint(region: &str, written: Option<&str>) -> Result<Endpoint, String> {
    endpoints::iam(region, written)
}

/// The endpoint of the Security Token Service, which knows callers but no tokens.
pub fn sts_endpoint(region: &str, written: Option<&str>) -> Result<Endpoint, String> {
    endpoints::sts(region, written)
}

/// The accounts that a credential reaches: one.
pub fn accounts(endpoint: &Endpoint, credential: &Credential, at: &Moment) -> HttpRequest {
    get(format!("{}/v3/auth/domains", endpoint.base), credential, at)
}

/// The caller's account and principal, for key pairs.
pub fn caller_identity(endpoint: &Endpoint, credential: &Credential, at: &Moment) -> HttpRequest {
    get(format!("{}/v5/caller-identity", endpoint.base), credential, at)
}

/// Whose a token is: asked with the token, about the token.
pub fn about(endpoint: &Endpoint, token: &SecretString) -> HttpRequest {
    let url = format!("{}/v3/auth/tokens?nocatalog=true", endpoint.base);
    let headers = ["x-auth-token", "x-subject-token"].map(|name| (name.to_owned(), token.expose_secret().to_owned()));
    HttpRequest { method: Method::Get, url, headers: headers.into(), body: Vec::new() }
}

/// The owner in an answer to [`about`].
pub fn owner(reply: &HttpReply) -> Result<Caller, Box<Failure>> {
    let body = body(reply)?;
    let user = body.get("token").and_then(|token| token.get("user"));
    let text = |value: Option<&Value>, name: &str| value?.get(name)?.as_str().map(str::to_owned);
    let domain = user.and_then(|user| user.get("domain"));
    match (text(domain, "id"), text(user, "name")) {
        (Some(account), Some(name)) => {
            let domain = text(domain, "name").unwrap_or_else(|| account.clone());
            Ok(Caller { account, principal: format!("{domain}/{name}") })
        }
        _ => Err(Box::new(truncated(reply, reply.header("x-request-id")))),
    }
}

fn get(url: String, credential: &Credential, at: &Moment) -> HttpRequest {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    match credential {
        Credential::Token(token) => headers.push(("x-auth-token".into(), token.expose_secret().into())),
        Credential::Key { access_key, secret_key, security_token, .. } => {
            headers.push(("x-sdk-date".into(), at.now.strftime("%Y%m%dT%H%M%SZ").to_string()));
            if let Some(token) = security_token {
                headers.push(("x-security-token".into(), token.expose_secret().into()));
            }
            let signed = sign(Method::Get.as_str(), &url, &headers, &[], access_key, secret_key.expose_secret());
            headers.push(("authorization".into(), signed.authorization));
        }
    }
    HttpRequest { method: Method::Get, url, headers, body: Vec::new() }
}

/// The token for a token of another identity provider. It is not yet one for the whole account.
pub fn federated_token(endpoint: &Endpoint, provider: &str, token: &SecretString) -> HttpRequest {
    let body = json!({"auth": {"id_token": {"id": token.expose_secret()}}});
    post(format!("{}/v3.0/OS-AUTH/id-token/tokens", endpoint.base), &[("x-idp-id", provider)], &body)
}

/// The temporary key for such a token.
pub fn temporary_key(endpoint: &Endpoint, token: &SecretString) -> HttpRequest {
    let token = json!({"id": token.expose_secret(), "duration_seconds": FEDERATED_SECONDS});
    let body = json!({"auth": {"identity": {"methods": ["token"], "token": token}}});
    post(format!("{}/v3.0/OS-CREDENTIAL/securitytokens", endpoint.base), &[], &body)
}

fn post(url: String, more: &[(&str, &str)], body: &Value) -> HttpRequest {
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    HttpRequest { method: Method::Post, url, headers, body: body.to_string().into_bytes() }
}

/// The one account in an answer to [`accounts`].
pub fn account(reply: &HttpReply) -> Result<String, Box<Failure>> {
    let body = body(reply)?;
    let mut ids = body.get("domains").and_then(Value::as_array).into_iter().flatten();
    match (ids.next().and_then(|domain| domain.get("id")?.as_str()), ids.next()) {
        (Some(id), None) if !id.is_empty() => Ok(id.to_owned()),
        _ => Err(Box::new(truncated(reply, reply.header("x-request-id")))),
    }
}

/// The caller in an answer to [`caller_identity`].
pub fn caller(reply: &HttpReply) -> Result<Caller, Box<Failure>> {
    let body = body(reply)?;
    let text = |name: &str| body.get(name)?.as_str().map(str::to_owned);
    match (text("account_id"), text("principal_urn")) {
        (Some(account), Some(principal)) => Ok(Caller { account, principal }),
        _ => Err(Box::new(truncated(reply, reply.header("x-request-id")))),
    }
}

/// The key in an answer to [`temporary_key`].
pub fn session(reply: &HttpReply) -> Result<Session, Box<Failure>> {
    key(&body(reply)?).ok_or_else(|| Box::new(truncated(reply, reply.header("x-request-id"))))
}

/// A temporary key as IAM, the metadata service and pod identity write it: `{"credential": {...}}` in two spellings.
pub fn key(value: &Value) -> Option<Session> {
    let inner = value.get("credential").or_else(|| value.get("credentials")).unwrap_or(value);
    let text = |names: &[&str]| {
        names.iter().find_map(|name| inner.get(*name)?.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Some(Session {
        credential: Credential::Key {
            access_key: text(&["access", "accessKeyId"])?,
            secret_key: text(&["secret", "secretAccessKey"])?.into(),
            security_token: text(&["securitytoken", "securityToken"]).map(Into::into),
            account: None,
        },
        expires_at: text(&["expires_at", "expiration"]).and_then(|text| text.parse().ok()),
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
    serde_json::from_slice(&reply.body).map_err(|_| Box::new(truncated(reply, reply.header("x-request-id"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> HttpReply {
        HttpReply { status, headers: Vec::new(), body: body.into() }
    }

    #[test]
    fn a_key_signs_and_a_token_travels_when_we_ask_whose_they_are() {
        let endpoint = Endpoint::of_host("iam.example.com");
        let at = Moment { now: "2025-01-02T03:04:05Z".parse().expect("a time"), nonce: "n-1".into() };
        let key = Credential::Key {
            access_key: "AK".into(),
            secret_key: "SECRET".into(),
            security_token: Some("TOKEN".into()),
            account: None,
        };
        let request = accounts(&endpoint, &key, &at);
        assert_eq!(request.url, "https://iam.example.com/v3/auth/domains");
        let header = |name: &str| request.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        assert!(
            header("authorization").is_some_and(|text| text.contains("x-security-token")),
            "it is under the signature"
        );
        assert_eq!(header("x-sdk-date"), Some("20250102T030405Z"));
        let request = caller_identity(&endpoint, &Credential::Token("TOKEN".into()), &at);
        assert_eq!(request.headers.get(1), Some(&("x-auth-token".to_owned(), "TOKEN".to_owned())));
    }

    #[test]
    fn keys_are_read_in_both_spellings() {
        for body in [
            r#"{"credential":{"access":"a","secret":"s","securitytoken":"t","expires_at":"2025-01-02T03:04:05.678000Z"}}"#,
            r#"{"credentials":{"accessKeyId":"a","secretAccessKey":"s","securityToken":"t","expiration":"2025-01-02T03:04:05.678Z"}}"#,
            r#"{"accessKeyId":"a","secretAccessKey":"s","securityToken":"t","expiration":"2025-01-02T03:04:05.678Z"}"#,
        ] {
            let found = session(&reply(200, body)).expect(body);
            assert_eq!(found.expires_at, "2025-01-02T03:04:05.678Z".parse().ok(), "{body}");
        }
        assert!(session(&reply(200, r#"{"credential":{"access":"a"}}"#)).is_err());
    }

    #[test]
    fn an_account_is_only_taken_where_there_is_exactly_one() {
        assert_eq!(account(&reply(200, r#"{"domains":[{"id":"d-1","name":"x"}]}"#)).ok().as_deref(), Some("d-1"));
        for body in ["{}", r#"{"domains":[]}"#, r#"{"domains":[{"id":"a"},{"id":"b"}]}"#] {
            assert!(account(&reply(200, body)).is_err(), "{body}");
        }
        let refused = account(&reply(403, r#"{"error_code":"IAM.0002","error_msg":"no"}"#)).expect_err("a refusal");
        assert_eq!(refused.kind, Kind::Auth);
        let body = r#"{"account_id":"d","principal_urn":"iam::d:user:ann","principal_id":"u"}"#;
        let who = caller(&reply(200, body)).expect("a caller");
        assert_eq!((who.account.as_str(), who.principal.as_str()), ("d", "iam::d:user:ann"));
        let body = r#"{"token":{"user":{"name":"ann","domain":{"id":"d","name":"acme"}}}}"#;
        let who = owner(&reply(200, body)).expect("an owner");
        assert_eq!((who.account.as_str(), who.principal.as_str()), ("d", "acme/ann"));
        assert!(owner(&reply(200, "{}")).is_err());
    }
}
