//! Who may do what: tokens with scopes, and on a server without tokens only this machine, and only pages of its own.

use super::problem::Problem;
use crate::config::{Scope, SecretError, Server};
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use std::{fmt, net::SocketAddr};
use subtle::ConstantTimeEq as _;

/// The header in which EventBridge of Alibaba Cloud sends a token.
const ALIBABA_TOKEN: &str = "x-eventbridge-signature-token";

/// Everybody who has a token.
pub struct Guard {
    tokens: Vec<Known>,
}

struct Known {
    name: String,
    /// Compared in place of the token: of one length, whatever the token's.
    digest: [u8; 32],
    scopes: Vec<Scope>,
}

/// Names tokens, never shows one.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.tokens.iter().map(|known| (&known.name, &known.scopes))).finish()
    }
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name of the token, or `loopback` where there are none.
    pub name: String,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// Where they are.
    pub peer: SocketAddr,
}

impl Actor {
    /// Whether they may.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

impl Guard {
    /// Reads the secrets of all tokens.
    pub fn new(server: &Server) -> Result<Self, SecretError> {
        let env = |name: &str| std::env::var(name).ok();
        let known = |token: &crate::config::Token| {
            let secret = token.secret.resolve(&env)?;
            Ok(Known { name: token.name.clone(), digest: digest(secret.expose_secret()), scopes: token.scopes.clone() })
        };
        Ok(Self { tokens: server.tokens.iter().map(known).collect::<Result<_, SecretError>>()? })
    }

    /// Whether there are tokens at all.
    pub fn is_closed(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Who sent this request.
    pub fn who(&self, headers: &HeaderMap, peer: SocketAddr) -> Result<Actor, Problem> {
        if self.tokens.is_empty() {
            own_pages_only(headers)?;
            let scopes = Scope::NAMES.iter().map(|(_, scope)| *scope).collect();
            return Ok(Actor { name: "loopback".into(), scopes, peer });
        }
        let refused = |why: &str| Err(Problem::new(StatusCode::UNAUTHORIZED, why));
        let Some(token) = token(headers) else {
            return refused("a token is needed: `Authorization: Bearer TOKEN`");
        };
        let digest = digest(&token);
        // All of them are compared: how long it takes tells nothing of where it would have matched.
        let mut found = None;
        for known in &self.tokens {
            if bool::from(known.digest.ct_eq(&digest)) {
                found = Some(known);
            }
        }
        match found {
            Some(known) => Ok(Actor { name: known.name.clone(), scopes: known.scopes.clone(), peer }),
            None => refused("this token is not known here"),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token: as a bearer, as a password, or in the header that Alibaba Cloud has for it.
fn token(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(value) = text(header::AUTHORIZATION.as_str()) {
        let (kind, value) = value.split_once(' ')?;
        let value = value.trim();
        return match kind.to_ascii_lowercase().as_str() {
            "bearer" => Some(value.to_owned()),
            "basic" => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(value).ok()?;
                let pair = String::from_utf8(decoded).ok()?;
                pair.split_once(':').map(|(_, password)| password.to_owned())
            }
            _ => None,
        };
    }
    text(ALIBABA_TOKEN).map(str::to_owned)
}

/// Without tokens, a page of somebody else in a browser on this machine must not reach us: neither by a name that it
/// lets point here, nor from its own origin.
fn own_pages_only(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let refused = |why: &str| Err(Problem::new(StatusCode::FORBIDDEN, why));
    let host = text("host").unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    if !matches!(name, "" | "localhost" | "[::1]") && !name.starts_with("127.") {
        return refused("without tokens only requests to this machine's own name are heard");
    }
    if let Some(origin) = text("origin")
        && origin.split_once("://").map(|(_, origin)| origin) != Some(host)
    {
        return refused("without tokens pages of other origins are not heard");
    }
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return refused("without tokens pages of other origins are not heard");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Secret, Token};

    fn headers(all: &[(&'static str, &str)]) -> HeaderMap {
        all.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn peer() -> SocketAddr {
        ([127, 0, 0, 1], 1).into()
    }

    fn guard() -> Guard {
        let token = |name: &str, secret: &str, scopes: &[Scope]| Token {
            name: name.into(),
            secret: Secret::Plain(secret.into()),
            scopes: scopes.to_vec(),
        };
        let tokens = vec![token("ci", "one", &[Scope::Ingest]), token("ops", "two", &[Scope::Read, Scope::Operate])];
        Guard::new(&Server { tokens, ..Server::default() }).unwrap()
    }

    #[test]
    fn a_token_is_known_however_a_sender_can_send_it() {
        let basic = base64::engine::general_purpose::STANDARD.encode("any:two");
        for (name, value, who) in [
            ("authorization", "Bearer one".to_owned(), "ci"),
            ("authorization", "bearer  two".to_owned(), "ops"),
            ("authorization", format!("Basic {basic}"), "ops"),
            (ALIBABA_TOKEN, "one".to_owned(), "ci"),
        ] {
            assert_eq!(guard().who(&headers(&[(name, &value)]), peer()).unwrap().name, who, "{value}");
        }
        assert!(guard().who(&headers(&[("authorization", "Bearer one")]), peer()).unwrap().may(Scope::Ingest));
        assert!(!guard().who(&headers(&[("authorization", "Bearer one")]), peer()).unwrap().may(Scope::Operate));
    }

    #[test]
    fn without_a_token_that_is_known_nobody_is_let_in_and_none_is_shown() {
        for all in [
            &[][..],
            &[("authorization", "Bearer")][..],
            &[("authorization", "Bearer ")],
            &[("authorization", "Bearer onee")],
            &[("authorization", "Bearer on")],
            &[("authorization", "Digest one")],
            &[("authorization", "Basic !!!")],
        ] {
            let refused = guard().who(&headers(all), peer()).unwrap_err();
            assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        }
        assert!(!format!("{:?}", guard()).contains("one"));
    }

    #[test]
    fn without_tokens_only_this_machine_and_its_own_pages_are_heard() {
        let open = Guard::new(&Server::default()).unwrap();
        let status = |all: &[(&'static str, &str)]| open.who(&headers(all), peer()).map_err(|problem| problem.status());
        for fine in [
            &[][..],
            &[("host", "127.0.0.1:9464")][..],
            &[("host", "localhost")],
            &[("host", "[::1]:9464")],
            &[("host", "localhost:9464"), ("origin", "http://localhost:9464"), ("sec-fetch-site", "same-origin")],
        ] {
            assert!(status(fine).is_ok(), "{fine:?}");
        }
        for foreign in [
            &[("host", "evil.example:9464")][..],
            &[("host", "127.0.0.1:9464"), ("origin", "http://evil.example")],
            &[("host", "127.0.0.1:9464"), ("origin", "null")],
            &[("host", "127.0.0.1:9464"), ("origin", "http://127.0.0.1:8000")],
            &[("host", "127.0.0.1:9464"), ("sec-fetch-site", "cross-site")],
        ] {
            assert_eq!(status(foreign), Err(StatusCode::FORBIDDEN), "{foreign:?}");
        }
    }
}
