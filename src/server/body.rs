//! The body of a request: read whole, within its bound, with the type it says it is of.

use super::{problem::Problem, state::State};
use crate::job::{TRACEPARENT, TRACESTATE, Trace};
use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use http_body_util::BodyExt as _;
use std::sync::Arc;

/// Bytes of a body that is too large which are still taken from the wire, so that its sender reads why.
const LINGERING: usize = 64_000_000;

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
    /// The trace that the request belongs to, where the sender is traced.
    pub(super) trace: Option<Trace>,
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
        let mut body = body;
        let mut bytes = Vec::new();
        let mut left = LINGERING;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Problem::bad("the body broke off"))?;
            // Trailers say nothing to us.
            let Ok(frame) = frame.into_data() else { continue };
            if bytes.len() + frame.len() <= most {
                bytes.extend_from_slice(&frame);
                continue;
            }
            // Whoever is still sending reads no answer: the rest is taken from the wire and let go.
            left = left.saturating_sub(frame.len());
            if left == 0 {
                break;
            }
        }
        if left < LINGERING {
            let text = format!("a body has at most {most} bytes (server.limits.body_megabytes)");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Ok(Self { trace: trace(&head.headers), headers: head.headers, bytes })
    }
}

/// The trace of a request. Two parents are none, and a state may stand in several headers.
fn trace(headers: &HeaderMap) -> Option<Trace> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?.to_str().ok()?;
    let states: Result<Vec<&str>, _> = headers.get_all(TRACESTATE).iter().map(HeaderValue::to_str).collect();
    Trace::read(parent, states.ok().map(|states| states.join(",")).as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_may_stand_in_several_headers_and_two_parents_are_none() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        assert_eq!(trace(&headers), None);
        headers.append(TRACEPARENT, HeaderValue::from_static(PARENT));
        assert_eq!(trace(&headers), Trace::read(PARENT, None));
        headers.append(TRACESTATE, HeaderValue::from_static("a=1"));
        headers.append(TRACESTATE, HeaderValue::from_static("b=2"));
        assert_eq!(trace(&headers), Trace::read(PARENT, Some("a=1,b=2")));
        headers.append(TRACEPARENT, HeaderValue::from_static(PARENT));
        assert_eq!(trace(&headers), None);
    }
}
