//! The body of a request: read whole, within its bound, with the type it says it is of.

use super::{problem::Problem, state::State};
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use std::sync::Arc;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// JSON, also one of CloudEvents.
    Json,
    /// One JSON document a line.
    Lines,
}

/// A body that has arrived.
pub(super) struct Body {
    pub(super) headers: HeaderMap,
    pub(super) bytes: Vec<u8>,
    /// W3C `traceparent`, where the sender is traced.
    pub(super) trace: Option<String>,
}

impl Body {
    /// Its type, if it is one of these. Anything else is refused: it could come from a form of somebody else's page.
    pub(super) fn form(&self, allowed: &[Form]) -> Result<Form, Problem> {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let form = match kind.as_str() {
            "application/json" | "application/cloudevents+json" | "application/cloudevents-batch+json" => {
                Some(Form::Json)
            }
            "application/x-ndjson" | "application/jsonl" | "application/ndjson" => Some(Form::Lines),
            _ => None,
        };
        form.filter(|form| allowed.contains(form)).ok_or_else(|| {
            let types = if allowed.contains(&Form::Lines) { " or application/x-ndjson" } else { "" };
            Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("the content type has to be application/json{types}"),
            )
        })
    }
}

impl FromRequest<Arc<State>> for Body {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, Problem> {
        let most = state.server.limits.body_megabytes as usize * 1_000_000;
        let (head, body) = request.into_parts();
        let too_large = || {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("a body has at most {most} bytes (server.limits.body_megabytes)"),
            )
        };
        let length =
            head.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let limited = http_body_util::Limited::new(body, most);
        let bytes = match http_body_util::BodyExt::collect(limited).await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
            Err(_) => return Err(Problem::bad("the body broke off")),
        };
        let trace = head.headers.get("traceparent").and_then(|trace| trace.to_str().ok());
        let trace = trace.filter(|trace| trace.len() <= 256 && trace.bytes().all(|b| b.is_ascii_graphic()));
        Ok(Self { trace: trace.map(str::to_owned), headers: head.headers, bytes })
    }
}
