//! The IAM password token: its request and what the reply says. Sending and caching is the worker's.

use super::{classify, endpoints};
use crate::provider::{Failure, HttpReply, HttpRequest, Kind, Method, classify::truncated};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

/// Who asks for a token. HUAWEI ID accounts cannot: it takes an IAM user, or a key pair in place of a token.
#[derive(Clone, Debug)]
pub struct Login {
    /// The account's name, called domain in the API.
    pub domain: String,
    /// The IAM user's name.
    pub user: String,
    /// The IAM user's password.
    pub password: SecretString,
    /// The region whose IAM is asked; empty for the global one.
    pub region: String,
    /// Replaces IAM's endpoint: scheme and host, no path.
    pub endpoint: Option<String>,
}

/// A token and its end.
#[derive(Clone, Debug)]
pub struct Token {
    /// Goes into `X-Auth-Token`; several KB long.
    pub token: SecretString,
    /// When it ends, where the reply says so: 24 hours after issue. A change of password or rights ends it earlier.
    pub expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct Body<'a> {
    auth: Auth<'a>,
}

#[derive(Serialize)]
struct Auth<'a> {
    identity: Identity<'a>,
    scope: Scope<'a>,
}

#[derive(Serialize)]
struct Identity<'a> {
    methods: [&'static str; 1],
    password: Password<'a>,
}

#[derive(Serialize)]
struct Password<'a> {
    user: User<'a>,
}

#[derive(Serialize)]
struct User<'a> {
    domain: Domain<'a>,
    name: &'a str,
    password: &'a str,
}

#[derive(Serialize)]
struct Scope<'a> {
    domain: Domain<'a>,
}

#[derive(Serialize)]
struct Domain<'a> {
    name: &'a str,
}

/// The request for a token. TMS is a global service, so the scope is the domain (TMS API page, table 1); without
/// `nocatalog` the token carries a list of every endpoint. The error names the wrong field.
pub fn request(login: &Login) -> Result<HttpRequest, String> {
    let endpoint = endpoints::iam(&login.region, login.endpoint.as_deref())?;
    let domain = || Domain { name: &login.domain };
    let user = User { domain: domain(), name: &login.user, password: login.password.expose_secret() };
    let identity = Identity { methods: ["password"], password: Password { user } };
    let body = Body { auth: Auth { identity, scope: Scope { domain: domain() } } };
    Ok(HttpRequest {
        method: Method::Post,
        url: format!("{}/v3/auth/tokens?nocatalog=true", endpoint.base),
        headers: vec![("content-type".into(), "application/json".into())],
        // Writing strings to memory cannot fail; an empty body would be refused.
        body: serde_json::to_vec(&body).unwrap_or_default(),
    })
}

/// The token in a reply, from its header `X-Subject-Token`.
///
/// A refusal is [`Kind::Auth`] whatever its status: a login that is denied or unknown is a broken identity.
pub fn read(reply: &HttpReply) -> Result<Token, Box<Failure>> {
    if !reply.is_success() {
        let mut failure = classify::whole(reply, &[]);
        if matches!(failure.kind, Kind::Denied | Kind::Rejected) {
            failure.kind = Kind::Auth;
        }
        return Err(Box::new(failure));
    }
    match reply.header("x-subject-token").map(str::trim).filter(|token| !token.is_empty()) {
        Some(token) => Ok(Token { token: token.into(), expires_at: expiry(&reply.body) }),
        None => Err(Box::new(truncated(reply, reply.header("x-request-id")))),
    }
}

/// `{"token":{"expires_at":"2025-01-03T03:04:05.000000Z"}}`.
fn expiry(body: &[u8]) -> Option<Timestamp> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get("token")?.get("expires_at")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            domain: "acc\"ount".into(),
            user: "tagger".into(),
            password: "p\"w\\".into(),
            region: "cn-north-4".into(),
            endpoint: None,
        }
    }

    fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> HttpReply {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        HttpReply { status, headers, body: body.into() }
    }

    #[test]
    fn a_login_asks_for_a_token_of_the_whole_domain() {
        let request = request(&login()).expect("a request");
        assert_eq!(request.url, "https://iam.cn-north-4.myhuaweicloud.com/v3/auth/tokens?nocatalog=true");
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("json");
        let user = serde_json::json!({"domain": {"name": "acc\"ount"}, "name": "tagger", "password": "p\"w\\"});
        let expected = serde_json::json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"domain": {"name": "acc\"ount"}},
        }});
        assert_eq!(body, expected);
    }

    #[test]
    fn the_endpoint_of_a_login_can_be_replaced() {
        let own = Login { endpoint: Some("http://127.0.0.1:9/".into()), ..login() };
        assert_eq!(request(&own).map(|r| r.url).as_deref(), Ok("http://127.0.0.1:9/v3/auth/tokens?nocatalog=true"));
        let global = Login { region: String::new(), ..login() };
        assert!(request(&global).is_ok_and(|r| r.url.starts_with("https://iam.myhuaweicloud.com/")));
    }

    #[test]
    fn no_secret_shows_in_debug_output() {
        let token = read(&reply(201, &[("X-Subject-Token", "MIIsecret")], "")).expect("a token");
        let shown = format!("{:?} {:?} {token:?}", login(), request(&login()));
        assert!(!shown.contains("p\\\"w") && !shown.contains("MIIsecret"), "{shown}");
    }

    #[test]
    fn a_token_and_its_end_are_read() {
        let body = r#"{"token":{"expires_at":"2025-01-03T03:04:05.000000Z"}}"#;
        let token = read(&reply(201, &[("x-subject-token", "MII")], body)).expect("a token");
        assert_eq!(token.token.expose_secret(), "MII");
        assert_eq!(token.expires_at, "2025-01-03T03:04:05Z".parse().ok());
        assert!(read(&reply(201, &[("x-subject-token", "MII")], "{")).is_ok_and(|token| token.expires_at.is_none()));
    }

    #[test]
    fn a_refused_login_is_a_broken_identity_and_an_outage_is_not() {
        let body = r#"{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}"#;
        let failure = read(&reply(401, &[("X-Request-Id", "r-1")], body)).expect_err("a failure");
        assert_eq!((failure.kind, failure.code.as_str(), failure.coded), (Kind::Auth, "http_401", false));
        assert_eq!(failure.request_id.as_deref(), Some("r-1"));
        for status in [400, 403, 404] {
            assert!(read(&reply(status, &[], "")).is_err_and(|failure| failure.kind == Kind::Auth), "{status}");
        }
        assert!(read(&reply(503, &[], "")).is_err_and(|failure| failure.kind == Kind::Transient));
        assert!(read(&reply(429, &[], "")).is_err_and(|failure| failure.kind == Kind::Throttled));
        assert!(read(&reply(201, &[], "{}")).is_err_and(|failure| failure.kind == Kind::Transient));
    }
}
