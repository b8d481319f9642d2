//! The identity service: tokens for a password, and the account of a key.

use super::{
    super::super::{
        call::{Exchange, http_date, wall},
        cloud::{Cloud, Token, World},
        config::Api,
        reply::Reply,
        request::Request,
        verify,
    },
    super::Refusal,
    auth, refusal,
};
use crate::worker::clock;
use hyper::Method;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::json;
use std::{fmt::Write as _, sync::Arc, time::Duration};

/// Real tokens are several kilobytes long, and clients with small header buffers have failed on that.
const TOKEN_LENGTH: usize = 2_000;

pub(in crate::sim) fn claims(request: &Request) -> bool {
    matches!(request.path.as_str(), "/v3/auth/tokens" | "/v3/auth/domains" | "/v5/caller-identity")
}

pub(in crate::sim) fn answer(world: &World, request: &Request) -> Exchange {
    let reply = match (&request.method, request.path.as_str()) {
        (&Method::POST, "/v3/auth/tokens") => issue(world, &request.body),
        (&Method::GET, "/v3/auth/tokens") => owner(world, request),
        (&Method::GET, "/v3/auth/domains") => domains(world, request),
        (&Method::GET, "/v5/caller-identity") => caller(world, request),
        _ => fault(405, "Method Not Allowed", "The method is not allowed for this address."),
    };
    reply.into()
}

/// The identity service's own envelope: its code is a number.
fn fault(status: u16, title: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": status, "message": message, "title": title}}))
}

#[derive(Deserialize)]
struct Asked {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
    scope: Option<Scope>,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Password,
}

#[derive(Deserialize)]
struct Password {
    user: AskedUser,
}

#[derive(Deserialize)]
struct AskedUser {
    domain: Name,
    name: String,
    password: String,
}

#[derive(Deserialize)]
struct Name {
    name: Option<String>,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Scope {
    domain: Option<Name>,
    project: Option<serde_json::Value>,
}

fn issue(world: &World, body: &[u8]) -> Reply {
    let Ok(Asked { auth }) = serde_json::from_slice::<Asked>(body) else {
        return fault(400, "Bad Request", "The request body is invalid.");
    };
    let user = auth.identity.password.user;
    if auth.identity.methods != ["password"] {
        return fault(400, "Bad Request", "The identity method must be password.");
    }
    let knows = |cloud: &&Arc<Cloud>| {
        cloud.config.provider == Api::HuaweiTms
            && cloud.config.users.iter().any(|known| {
                user.domain.name.as_deref() == Some(known.domain.as_str())
                    && user.name == known.name
                    && verify::equal(&user.password, known.password.expose_secret())
            })
    };
    let Some(cloud) = world.clouds.iter().find(knows) else {
        return fault(401, "Unauthorized", "The username or password is wrong.");
    };
    let faults = Arc::clone(&cloud.state().faults);
    if faults.outage {
        return fault(503, "Service Unavailable", "The service is unavailable.");
    }
    if faults.revoked {
        return fault(401, "Unauthorized", "The user is disabled.");
    }
    let now = wall(&faults);
    let domain_scope = match auth.scope {
        Some(Scope { domain: Some(domain), project: None }) => {
            let same = domain.name.is_none() || domain.name == user.domain.name;
            if !same || (domain.name.is_none() && domain.id != cloud.config.domain_id) {
                return fault(401, "Unauthorized", "The scope names another account.");
            }
            true
        }
        Some(Scope { project: Some(_), domain: None }) => false,
        _ => return fault(400, "Bad Request", "The scope must be one domain or one project."),
    };
    let ttl = Duration::from_secs(cloud.config.token_ttl_s);
    let expires = now.checked_add(ttl).unwrap_or(Timestamp::MAX);
    let text = remember(cloud, Token { expires, epoch: faults.token_epoch, domain_scope });
    let body =
        json!({"token": {"expires_at": expires.to_string(), "issued_at": now.to_string(), "methods": ["password"]}});
    Reply::json(201, &body).with("x-subject-token", text).with("date", http_date(now))
}

fn remember(cloud: &Cloud, token: Token) -> String {
    let mut state = cloud.state();
    let mut text = format!("{}.", cloud.index);
    while text.len() < TOKEN_LENGTH {
        // Not from the cloud's stream of chance: how many tokens a client asks for must not change its faults.
        let _ = write!(text, "{}", clock::nonce());
    }
    state.counts.tokens_issued += 1;
    state.tokens.insert(text.clone(), token);
    text
}

/// The account that a request proves to come from, and its answer.
fn known(
    world: &World,
    request: &Request,
    answer: impl FnOnce(&Cloud, &auth::Identity) -> Result<serde_json::Value, Refusal>,
) -> Reply {
    let id = clock::nonce();
    let found = auth::identify(world, request).and_then(|(cloud, identity)| {
        let faults = Arc::clone(&cloud.state().faults);
        auth::authenticate(cloud, request, &identity, wall(&faults), false)?;
        if faults.revoked {
            let message = "Incorrect IAM authentication information: the key is disabled";
            return Err(Refusal::auth(401, "APIGW.0301", message));
        }
        answer(cloud, &identity)
    });
    match found {
        Ok(body) => Reply::json(200, &body).with("x-request-id", id),
        Err(why) => refusal(why.status, &why.code, &why.message, &id),
    }
}

fn domain(cloud: &Cloud) -> &str {
    cloud.config.domain_id.as_deref().unwrap_or("unnamed")
}

fn user_name(cloud: &Cloud) -> &str {
    cloud.config.users.first().map_or("unnamed", |user| user.name.as_str())
}

/// Which account a key belongs to, for clients that were not told.
fn domains(world: &World, request: &Request) -> Reply {
    known(world, request, |cloud, _| {
        let domain = domain(cloud);
        let name = cloud.config.users.first().map_or(domain, |user| user.domain.as_str());
        Ok(json!({"domains": [{"id": domain, "name": name, "enabled": true}], "links": {}}))
    })
}

/// Who a key belongs to. It takes no tokens.
fn caller(world: &World, request: &Request) -> Reply {
    known(world, request, |cloud, identity| match identity {
        auth::Identity::Token(_) => Err(Refusal::auth(401, "STS.0401", "authentication by token is not supported")),
        auth::Identity::Key(_) => {
            let (domain, user) = (domain(cloud), user_name(cloud));
            let urn = format!("iam::{domain}:user:{user}");
            Ok(json!({"account_id": domain, "principal_urn": urn, "principal_id": format!("id-of-{user}")}))
        }
    })
}

/// Who a token belongs to: it is asked with the token, about the token.
fn owner(world: &World, request: &Request) -> Reply {
    known(world, request, |cloud, identity| match identity {
        auth::Identity::Token(token) if request.header("x-subject-token") == Some(token) => {
            let state = cloud.state();
            let expires = state.tokens.get(token).map(|token| token.expires.to_string());
            let account = json!({"id": domain(cloud), "name": cloud.config.users.first().map(|user| &user.domain)});
            let user = json!({"name": user_name(cloud), "id": "u", "domain": account});
            Ok(json!({"token": {"expires_at": expires, "methods": ["password"], "user": user}}))
        }
        _ => Err(Refusal::rejected(404, "IAM.0004", "Could not find token")),
    })
}
