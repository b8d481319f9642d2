//! A request as it came off the wire, whole.

use super::percent;
use hyper::{HeaderMap, Method, body::Bytes};
use std::time::Instant;

/// One request. Path and query are kept as sent: both are under the signature.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) arrived: Instant,
}

impl Request {
    /// The first header of that name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The decoded query parameters.
    pub(super) fn query_pairs(&self) -> Vec<(String, String)> {
        percent::pairs(&self.query)
    }

    /// The decoded form parameters, when the body is a form.
    pub(super) fn form_pairs(&self) -> Vec<(String, String)> {
        let form =
            self.header("content-type").is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        match std::str::from_utf8(&self.body) {
            Ok(text) if form => percent::pairs(text),
            _ => Vec::new(),
        }
    }
}
