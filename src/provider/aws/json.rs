//! Requests of the services that speak JSON: one body, hashed and sent as it stands.

use super::sign::{Scope, signed};
use crate::provider::{Credential, HttpRequest, Method, Moment};
use serde::Serialize;

/// A signed POST of a JSON body. `target` is the operation of a JSON 1.1 service; where there is none, the URL names it.
pub(super) fn post(
    scope: Scope<'_>,
    url: String,
    target: Option<&str>,
    body: &impl Serialize,
    credential: &Credential,
    at: &Moment,
) -> HttpRequest {
    let content_type = if target.is_some() { "application/x-amz-json-1.1" } else { "application/json" };
    let mut headers = vec![("content-type".to_owned(), content_type.to_owned())];
    headers.extend(target.map(|target| ("x-amz-target".to_owned(), target.to_owned())));
    // Writing strings to memory cannot fail; an empty body would be refused, not half obeyed.
    let body = serde_json::to_vec(body).unwrap_or_default();
    signed(scope, HttpRequest { method: Method::Post, url, headers, body }, credential, at)
}
