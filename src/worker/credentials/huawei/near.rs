//! Keys that are handed out nearby: to a pod, and by the metadata service to a machine with an agency.

use super::super::{
    Wanted,
    around::Around,
    chain::{Found, Look},
};
use crate::provider::{HttpReply, HttpRequest, Method, huawei::iam};
use secrecy::ExposeSecret as _;

const METADATA: &str = "http://169.254.169.254";
/// How long the token of the metadata service is good, in seconds. It is used at once.
const TOKEN_SECONDS: &str = "21600";

fn key(reply: &HttpReply) -> Option<iam::Session> {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).ok()?;
    if reply.is_success() { iam::key(&body) } else { None }
}

/// The key of a pod, for the token in its file.
pub(super) async fn container(around: &Around) -> Result<Look, String> {
    const URI: &str = "HC_CONTAINER_CREDENTIALS_FULL_URI";
    const FILE: &str = "HC_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    let (uri, file) = match (around.var(URI), around.var(FILE)) {
        (Some(uri), Some(file)) => (uri, file),
        (None, None) => return Ok(Look::Nothing(format!("pod identity ({URI} not set)"))),
        (Some(_), None) => return Err(format!("pod identity: {URI} is set and {FILE} is not")),
        (None, Some(_)) => return Err(format!("pod identity: {FILE} is set and {URI} is not")),
    };
    let token = around.token_file(&file).await.map_err(|why| format!("pod identity: the token file {why}"))?;
    let request = HttpRequest {
        method: Method::Post,
        url: uri,
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("authorization".into(), token.expose_secret().into()),
        ],
        body: b"{}".to_vec(),
    };
    let told = |why: String| format!("pod identity: the address in {URI} {why}");
    let reply = around.near(request).await.map_err(|_| told("does not answer".into()))?;
    let session = key(&reply).ok_or_else(|| told(format!("hands out no key (HTTP {})", reply.status)))?;
    let place = "pod identity".to_owned();
    Ok(Look::Found(Found { credential: session.credential, expires_at: session.expires_at, place }))
}

/// The key of the machine's agency.
pub(super) async fn instance(wanted: &Wanted, around: &Around) -> Result<Look, String> {
    let base = wanted.credentials.places.metadata.as_deref().unwrap_or(METADATA);
    let silent = || Ok(Look::Nothing(format!("instance metadata ({base} does not answer)")));
    let request = HttpRequest {
        method: Method::Put,
        url: format!("{base}/meta-data/latest/api/token"),
        headers: vec![("x-metadata-token-ttl-seconds".into(), TOKEN_SECONDS.into())],
        body: Vec::new(),
    };
    let Ok(reply) = around.near(request).await else { return silent() };
    // Older services know nothing of tokens and go on without.
    let token = String::from_utf8_lossy(&reply.body).trim().to_owned();
    let token = Some(token).filter(|token| reply.is_success() && !token.is_empty());
    let headers = token.map(|token| ("x-metadata-token".to_owned(), token));
    let request = HttpRequest {
        method: Method::Get,
        url: format!("{base}/openstack/latest/securitykey"),
        headers: headers.into_iter().collect(),
        body: Vec::new(),
    };
    let Ok(reply) = around.near(request).await else { return silent() };
    match key(&reply) {
        Some(session) => {
            let place = "instance metadata: the machine's agency".to_owned();
            Ok(Look::Found(Found { credential: session.credential, expires_at: session.expires_at, place }))
        }
        // 401 says "Please configure Cloud Service Agency first"; another cloud's machine says 404.
        None if matches!(reply.status, 400..=499) => {
            Ok(Look::Nothing(format!("instance metadata ({base} knows no agency of this machine)")))
        }
        None => Err(format!("instance metadata: {base} hands out no key (HTTP {})", reply.status)),
    }
}
