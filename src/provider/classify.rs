//! The broad classifier: what a status says when no error code says more, and how a failure is put together.
//!
//! Each provider reads its own error codes first and falls back to this.

use super::{Blame, Failure, Fault, HttpReply, Kind, scrub::scrub};
use crate::call::request_id;
use std::sync::Arc;

/// What an error reply says, whatever envelope it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The provider's own code. Not a status in disguise.
    pub(super) code: Option<String>,
    /// The provider's words, as they came.
    pub(super) message: String,
    /// The provider's id of the request.
    pub(super) request_id: Option<String>,
}

impl Told {
    /// A code as a provider writes one: it becomes a metric label, so anything else is not taken for a code.
    pub(super) fn is_code(text: &str) -> bool {
        (1..=120).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b':'))
            && text.bytes().any(|b| b.is_ascii_alphabetic())
    }
}

/// What a status says by itself.
pub fn by_status(status: u16) -> Kind {
    match status {
        429 | 509 => Kind::Throttled,
        408 | 500 | 502 | 503 | 504 => Kind::Transient,
        401 => Kind::Auth,
        403 => Kind::Denied,
        _ => Kind::Rejected,
    }
}

/// Whom a status blames when there is no code.
///
/// 400 and "too large" can come from anything that sits between us and the cloud, so the call is taken apart. Any
/// other refusal without a code (a redirect, 404, 405) is a wrong address: the request's own fault.
pub fn blame_by_status(status: u16) -> Blame {
    match (by_status(status), status) {
        (Kind::Rejected, 400 | 413 | 414 | 422 | 431) => Blame::Unnamed,
        (Kind::Rejected, _) => Blame::Request,
        _ => Blame::Unnamed,
    }
}

/// A failure from what the provider told us. `tags` are the call's: their values are cut out of the message.
pub(super) fn failure(
    (kind, blame): (Kind, Blame),
    told: &Told,
    reply: &HttpReply,
    tags: &[(Arc<str>, Arc<str>)],
) -> Failure {
    let words = scrub(&told.message, tags);
    let mut failure = match &told.code {
        Some(code) => Failure::new(kind, blame, code, &words),
        None if words.is_empty() => {
            // Not the body: what is not the provider's own form can hold anything, our request included.
            Failure::new(kind, blame, &status_code(reply.status), "the answer has no error code")
        }
        None => Failure::new(kind, blame, &status_code(reply.status), &words),
    };
    failure.coded = told.code.is_some();
    failure.request_id = told.request_id.as_deref().and_then(request_id);
    failure.retry_after = reply.retry_after();
    failure
}

/// The code of a failure that is known by its status only.
pub(super) fn status_code(status: u16) -> String {
    format!("http_{status}")
}

/// A success whose body is cut short or not what the API sends. It proves nothing, so the call goes again.
pub(super) fn truncated(reply: &HttpReply, id: Option<&str>) -> Failure {
    let mut failure = Failure::from(Fault::Broken);
    failure.message =
        "the answer is cut short or not what this API sends; whether the call was carried out is unknown".into();
    failure.request_id = id.and_then(request_id);
    failure.retry_after = reply.retry_after();
    failure
}

/// How many attempts a code gets that is on no list: unknown codes are tried twice more, then final.
pub(super) const UNKNOWN_CODE_ATTEMPTS: u32 = 3;

/// A failure that the reply pins on something we did not send. Nothing else in the reply can be believed then.
pub(super) fn unmatched(id: Option<&str>) -> Failure {
    let words = "the answer names a failed resource that was not in the call, so none of it can be relied on";
    let mut failure = Failure::new(Kind::Transient, Blame::Unnamed, "unmatched", words);
    failure.request_id = id.and_then(request_id);
    failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_alone_is_sorted_broadly() {
        for (status, kind) in [
            (429, Kind::Throttled),
            (509, Kind::Throttled),
            (408, Kind::Transient),
            (500, Kind::Transient),
            (502, Kind::Transient),
            (503, Kind::Transient),
            (504, Kind::Transient),
            (401, Kind::Auth),
            (403, Kind::Denied),
            (400, Kind::Rejected),
            (301, Kind::Rejected),
            (404, Kind::Rejected),
            (501, Kind::Rejected),
            (0, Kind::Rejected),
            (u16::MAX, Kind::Rejected),
        ] {
            assert_eq!(by_status(status), kind, "{status}");
        }
    }

    #[test]
    fn a_code_is_a_word_with_a_letter() {
        for code in ["TMS.0006", "InvalidResourceId.NotFound", "Throttling.User", "a:b-c_d"] {
            assert!(Told::is_code(code), "{code}");
        }
        for text in ["", "401", "two words", "<html>", "a\nb", "密"] {
            assert!(!Told::is_code(text), "{text:?}");
        }
    }
}
