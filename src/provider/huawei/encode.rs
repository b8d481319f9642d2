//! A call as a TMS request.

use super::{project, sign::sign};
use crate::provider::{Call, Credential, HttpRequest, Method, Moment, Op, endpoint::Endpoint};
use secrecy::ExposeSecret;
use serde::Serialize;

/// The body of both operations, in the order of the API page.
#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    resources: Vec<Target<'a>>,
    tags: Vec<Tag<'a>>,
}

#[derive(Serialize)]
struct Target<'a> {
    resource_id: &'a str,
    resource_type: &'a str,
}

#[derive(Serialize)]
struct Tag<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

/// The request of a call, signed for this moment.
pub(super) fn encode(
    endpoint: &Endpoint,
    delete_with_value: bool,
    call: &Call,
    credential: &Credential,
    at: &Moment,
) -> HttpRequest {
    let operation = match call.op {
        Op::Set => "batch-create",
        Op::Unset => "batch-delete",
    };
    let url = format!("{}/v1.0/resource-tags/{operation}", endpoint.base);
    let body = body(call, delete_with_value);
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    match credential {
        Credential::Token(token) => headers.push(("x-auth-token".into(), token.expose_secret().into())),
        Credential::Key { access_key, secret_key, security_token, account } => {
            headers.push(("x-sdk-date".into(), at.now.strftime("%Y%m%dT%H%M%SZ").to_string()));
            if let Some(account) = account {
                // Global services find the account by this header; without it they answer APIGW.0301.
                headers.push(("x-domain-id".into(), account.clone()));
            }
            if let Some(token) = security_token {
                headers.push(("x-security-token".into(), token.expose_secret().into()));
            }
            let signed = sign(Method::Post.as_str(), &url, &headers, &body, access_key, secret_key.expose_secret());
            headers.push(("authorization".into(), signed.authorization));
        }
    }
    HttpRequest { method: Method::Post, url, headers, body }
}

fn body(call: &Call, delete_with_value: bool) -> Vec<u8> {
    let body = Body {
        project_id: call.resources.first().and_then(project),
        resources: call
            .resources
            .iter()
            .map(|resource| Target {
                resource_id: &resource.id,
                resource_type: resource.kind.as_deref().unwrap_or_default(),
            })
            .collect(),
        tags: call
            .tags
            .iter()
            .map(|(key, value)| Tag {
                key,
                value: match call.op {
                    Op::Set => Some(&**value),
                    Op::Unset => delete_with_value.then_some(""),
                },
            })
            .collect(),
    };
    // Writing strings to memory cannot fail; an empty body would be refused, not half obeyed.
    serde_json::to_vec(&body).unwrap_or_default()
}
