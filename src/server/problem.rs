//! Errors as `application/problem+json` (RFC 9457): what, where, and when another try makes sense.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use std::time::Duration;

/// Details listed at most.
const LISTED: usize = 50;

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Where, such as `jobs[3].resources[0].id`.
    pub at: String,
    /// What. Never a tag value or a secret.
    pub message: String,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<Detail>,
    retry_after: Option<Duration>,
    allow: Option<String>,
}

#[derive(Serialize)]
struct Document<'d> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'d str,
    #[serde(skip_serializing_if = "<[Detail]>::is_empty")]
    errors: &'d [Detail],
}

impl Problem {
    /// A problem with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), retry_after: None, allow: None }
    }

    /// The request is wrong, and stays so however often it is sent.
    pub fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What the request holds cannot be accepted, item by item.
    pub fn unprocessable(detail: impl Into<String>, errors: Vec<Detail>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
        let more = errors.len().saturating_sub(LISTED);
        problem.errors = errors.into_iter().take(LISTED).collect();
        if more > 0 {
            problem.errors.push(Detail { at: String::new(), message: format!("and {more} more") });
        }
        problem
    }

    /// Not now: nothing of the request may be counted on, and it is worth sending again after that time.
    pub fn unavailable(detail: impl Into<String>, after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(after)
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// Says when to try again.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { retry_after: Some(after), ..self }
    }

    /// Says which methods there are.
    #[must_use]
    pub fn allowing(self, methods: String) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.status, Json(document)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if let Some(allow) = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tagmill\""));
        }
        response
    }
}
