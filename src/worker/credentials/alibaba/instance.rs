//! Keys that are handed out nearby: by the metadata service of an ECS instance, or by an address that somebody names.

use super::super::{
    Wanted,
    around::Around,
    chain::{Found, Look},
};
use crate::provider::{Fault, HttpReply, HttpRequest, Method, alibaba::sts};

const METADATA: &str = "http://100.100.100.200";
const ROLES: &str = "/latest/meta-data/ram/security-credentials/";
/// How long the token of the metadata service is good, in seconds. It is used at once.
const TOKEN_SECONDS: &str = "21600";

fn get(url: String, token: Option<&str>) -> HttpRequest {
    let headers = token.map(|token| ("x-aliyun-ecs-metadata-token".to_owned(), token.to_owned()));
    HttpRequest { method: Method::Get, url, headers: headers.into_iter().collect(), body: Vec::new() }
}

fn text(reply: &HttpReply) -> String {
    String::from_utf8_lossy(&reply.body).trim().to_owned()
}

/// The key of the instance's role. `role` is its name; the environment's, or the instance's own where nobody says.
pub(super) async fn look(role: Option<&str>, wanted: &Wanted, around: &Around) -> Result<Look, String> {
    if around.is_on("ALIBABA_CLOUD_ECS_METADATA_DISABLED") {
        return Ok(Look::Nothing("instance metadata (ALIBABA_CLOUD_ECS_METADATA_DISABLED is set)".into()));
    }
    let base = wanted.credentials.places.metadata.as_deref().unwrap_or(METADATA);
    let role = role.map(str::to_owned).or_else(|| around.var("ALIBABA_CLOUD_ECS_METADATA"));
    let token = match token(base, around).await {
        Ok(token) => token,
        Err(Fault::Connect | Fault::Timeout) if role.is_none() => {
            return Ok(Look::Nothing(format!("instance metadata ({base} does not answer)")));
        }
        Err(_) => return Err(format!("instance metadata: {base} does not answer")),
    };
    if token.is_none() && around.is_on("ALIBABA_CLOUD_IMDSV1_DISABLED") {
        return Err(format!("instance metadata: {base} gives no token, and ALIBABA_CLOUD_IMDSV1_DISABLED is set"));
    }
    let ask = async |path: &str| {
        let told = |fault: Fault| format!("instance metadata: {base} does not answer ({fault:?})");
        let url = format!("{base}{path}");
        match around.near(get(url.clone(), token.as_deref())).await {
            // A service of the first version knows no token.
            Ok(reply) if !reply.is_success() && token.is_some() && !around.is_on("ALIBABA_CLOUD_IMDSV1_DISABLED") => {
                around.near(get(url, None)).await.map_err(told)
            }
            answer => answer.map_err(told),
        }
    };
    let role = match role {
        Some(role) => role,
        None => match ask(ROLES).await? {
            reply if reply.is_success() && !text(&reply).is_empty() => text(&reply),
            _ => return Ok(Look::Nothing(format!("instance metadata ({base} knows no role of this machine)"))),
        },
    };
    if !role.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(format!("instance metadata: {base} names a role that is no name"));
    }
    let reply = ask(&format!("{ROLES}{role}")).await?;
    key(&reply).map_or_else(
        || Err(format!("instance metadata: {base} has no key for the role {role} (HTTP {})", reply.status)),
        |session| {
            let place = format!("instance metadata: role {role}");
            Ok(Look::Found(Found { credential: session.credential, expires_at: session.expires_at, place }))
        },
    )
}

/// The token that the hardened service wants; none where it knows nothing of tokens.
async fn token(base: &str, around: &Around) -> Result<Option<String>, Fault> {
    let request = HttpRequest {
        method: Method::Put,
        url: format!("{base}/latest/api/token"),
        headers: vec![("x-aliyun-ecs-metadata-token-ttl-seconds".into(), TOKEN_SECONDS.into())],
        body: Vec::new(),
    };
    let reply = around.near(request).await?;
    Ok(Some(text(&reply)).filter(|token| reply.is_success() && !token.is_empty()))
}

/// A key in an answer, unless the answer says that it is none.
fn key(reply: &HttpReply) -> Option<sts::Session> {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    let code = body.get("Code").and_then(serde_json::Value::as_str).unwrap_or("Success");
    if reply.is_success() && code == "Success" { sts::key(&body) } else { None }
}

/// The address in the environment.
pub(super) async fn uri_of_environment(around: &Around) -> Result<Look, String> {
    const NAME: &str = "ALIBABA_CLOUD_CREDENTIALS_URI";
    match around.var(NAME) {
        Some(uri) => uri_at(&uri, NAME, around).await.map(Look::Found),
        None => Ok(Look::Nothing(format!("credentials URI ({NAME} not set)"))),
    }
}

/// The key that an address hands out. The address is not repeated: it can hold a secret.
pub(super) async fn uri_at(uri: &str, named_by: &str, around: &Around) -> Result<Found, String> {
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        return Err(format!("credentials URI: {named_by} is no address that starts with http:// or https://"));
    }
    let told = |why: String| format!("credentials URI: the address in {named_by} {why}");
    let reply = around.near(get(uri.to_owned(), None)).await.map_err(|_| told("does not answer".into()))?;
    let session = key(&reply).ok_or_else(|| told(format!("hands out no key (HTTP {})", reply.status)))?;
    let place = format!("credentials URI in {named_by}");
    Ok(Found { credential: session.credential, expires_at: session.expires_at, place })
}
