//! What went wrong, in words that a lane can act on without knowing the cloud.

use jiff::Timestamp;
use std::{fmt, time::Duration};

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Too fast: slow the lane, send the same again, spend no attempt.
    Throttled,
    /// May work later: 500, 502, 503, 504, connection, timeout, "not ready yet". Spends an attempt.
    Transient,
    /// The identity is broken: refresh it once, then pause the lane.
    Auth,
    /// The identity is fine, this is not allowed. Final, unless everything is denied.
    Denied,
    /// Will never work. Final.
    Rejected,
}

impl Kind {
    /// It may be over by itself.
    pub fn is_passing(self) -> bool {
        matches!(self, Self::Throttled | Self::Transient)
    }
}

/// Who is to blame, as far as the error code tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Nobody is named: a whole call is taken apart by resource, then by job.
    Unnamed,
    /// A tag: a whole call is taken apart by key, then by job.
    Tag,
    /// The state of one resource ("not running yet"): the call is halved at once, the resource waits.
    State,
    /// The request itself: wrong region, unknown action. Five in a row pause the lane.
    Request,
}

/// Whether a code says that the resource does not exist: right after its creation that may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Missing {
    /// It says something else.
    #[default]
    No,
    /// One of several things that the code stands for.
    Perhaps,
    /// That and nothing else.
    Yes,
}

/// Characters of a request id at most: those of the clouds have 16 to 76.
const REQUEST_ID: usize = 120;

/// One failure of a call or of an item.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What to do.
    pub kind: Kind,
    /// Who is to blame.
    pub blame: Blame,
    /// The provider's code (`TMS.0006`), or `http_503`, `connect`, `timeout`, `truncated` where there is none.
    pub code: String,
    /// The provider's words: at most 500 characters, no control characters, nothing secret.
    pub message: String,
    /// The provider's id of the request: at most 120 characters, none but printable ASCII.
    pub request_id: Option<String>,
    /// How long the provider asked us to stay away.
    pub retry_after: Option<Duration>,
    /// The code is the provider's own, not made from a status or a broken connection.
    pub coded: bool,
    /// The provider's clock, when our clock is what it complained about.
    pub server_time: Option<Timestamp>,
    /// Attempts after which an item with this failure is final even where the lane allows more: an unknown code gets 3.
    pub attempts_at_most: Option<u32>,
    /// Nothing failed, it was only too early: waiting for it spends no attempt. The provider bounds how long.
    pub too_early: bool,
    /// Whether the resource does not exist, as far as the code tells. Only beside [`Kind::Rejected`].
    pub missing: Missing,
}

impl Failure {
    /// A failure with a code and words; the other fields at their plainest.
    pub fn new(kind: Kind, blame: Blame, code: &str, message: &str) -> Self {
        Self {
            kind,
            blame,
            code: clean(code, 120),
            message: clean(message, 500),
            request_id: None,
            retry_after: None,
            coded: false,
            server_time: None,
            attempts_at_most: None,
            too_early: false,
            missing: Missing::No,
        }
    }
}

/// Text from outside, made fit for a log line and a dead letter.
fn clean(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect::<String>().trim().to_owned()
}

/// A provider's id of a request, made fit for the same: it is a header that anybody between us may have written. Nothing
/// where nothing is left of it.
pub(crate) fn request_id(text: &str) -> Option<String> {
    let id: String = text.chars().filter(char::is_ascii_graphic).take(REQUEST_ID).collect();
    (!id.is_empty()).then_some(id)
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({}", self.kind, self.code)?;
        if let Some(after) = self.retry_after {
            write!(f, ", retry after {after:?}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_printable_and_short_whatever_came() {
        let id = |text: &str| request_id(text);
        assert_eq!(id("5f2e0d9c-0001").as_deref(), Some("5f2e0d9c-0001"));
        assert_eq!(id("a\nb\x1b[31m \u{202e}c").as_deref(), Some("ab[31mc"));
        assert_eq!((id(""), id(" \r\n\u{7f}é")), (None, None));
        assert_eq!(id(&"x".repeat(10_000)).map(|id| id.len()), Some(REQUEST_ID));
    }
}
