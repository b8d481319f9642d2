//! Requests and replies as plain data, and what a broken connection counts as.

use super::{Blame, Failure, Kind};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::{fmt, time::Duration};

/// The longest wait a reply can ask for. A hint beyond it is a mistake of the far side or of a proxy.
pub const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// The methods our providers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// DELETE
    Delete,
}

impl Method {
    /// The method's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A signed request. The URL and the body go out exactly as they stand: both are under the signature.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: Method,
    /// The full URL.
    pub url: String,
    /// Headers; `host` is not among them, it follows from the URL.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

/// Debug output shows neither headers, nor query, nor body: each of them can hold a secret or a tag value.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.url.split('?').next().unwrap_or_default();
        write!(f, "{} {path} ({} bytes)", self.method.as_str(), self.body.len())
    }
}

/// A complete reply.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// Headers with names in any case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl HttpReply {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the status says success. What the body says comes on top.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The far side's clock: its `Date` header.
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.header("date")?)
    }

    /// The wait that `Retry-After` asks for: seconds, or an HTTP date counted from the reply's own `Date`.
    ///
    /// At most [`LONGEST_WAIT`]. None when it is absent, unreadable, zero or past, and for a date without a `Date`
    /// header to count from: our clock may be wrong, and the lane's own waiting is the better guess then.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.header("retry-after")?.trim();
        match digits(text) {
            Some(seconds) => wait(Duration::from_secs(seconds)),
            None => wait(Duration::try_from(http_date(text)?.duration_since(self.date()?)).ok()?),
        }
    }

    /// The wait in a header of whole milliseconds, such as `x-acs-retry-after`. At most [`LONGEST_WAIT`], never zero.
    pub fn retry_after_millis(&self, name: &str) -> Option<Duration> {
        wait(Duration::from_millis(digits(self.header(name)?.trim())?))
    }
}

/// A number of digits only; one too big for its type is as big as the type allows.
fn digits(text: &str) -> Option<u64> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// A wait within bounds; none is no hint at all.
fn wait(asked: Duration) -> Option<Duration> {
    (!asked.is_zero()).then(|| asked.min(LONGEST_WAIT))
}

/// The three date forms of RFC 9110, section 5.6.7. The weekday is skipped: a wrong one changes nothing.
fn http_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.trim().split_once(' ')?;
    let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    let civil = ["%d %b %Y %H:%M:%S GMT", "%d-%b-%y %H:%M:%S GMT", "%b %d %H:%M:%S %Y"]
        .iter()
        .find_map(|form| DateTime::strptime(form, &rest).ok())?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

impl fmt::Debug for HttpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} ({} bytes)", self.status, self.body.len())
    }
}

/// Why there is no reply. The outcome of such a call is unknown; sending it again is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection could be made.
    Connect,
    /// Nothing came back in time.
    Timeout,
    /// The connection broke before the reply was complete.
    Broken,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let (code, words) = match fault {
            Fault::Connect => ("connect", "no connection to the endpoint"),
            Fault::Timeout => ("timeout", "no answer in time; whether the call was carried out is unknown"),
            Fault::Broken => ("truncated", "the connection broke before the answer was complete"),
        };
        Failure::new(Kind::Transient, Blame::Unnamed, code, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(headers: &[(&str, &str)]) -> HttpReply {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        HttpReply { status: 503, headers, body: Vec::new() }
    }

    #[test]
    fn retry_after_in_seconds_is_read_and_capped() {
        assert_eq!(reply(&[("Retry-After", "7")]).retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(reply(&[("retry-after", "86400")]).retry_after(), Some(LONGEST_WAIT));
        assert_eq!(reply(&[("retry-after", "99999999999999999999999")]).retry_after(), Some(LONGEST_WAIT));
    }

    #[test]
    fn retry_after_that_says_nothing_is_no_hint() {
        for text in ["", "0", "-3", "soon", "1.5", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            assert_eq!(reply(&[("retry-after", text), ("date", "Thu, 02 Jan 2025 03:04:05 GMT")]).retry_after(), None);
        }
    }

    #[test]
    fn retry_after_as_a_date_counts_from_the_date_of_the_reply() {
        let until = ("retry-after", "Thu, 02 Jan 2025 03:05:05 GMT");
        assert_eq!(reply(&[until]).retry_after(), None, "our clock is not consulted");
        let asked = reply(&[until, ("Date", "Thu, 02 Jan 2025 03:04:05 GMT")]).retry_after();
        assert_eq!(asked, Some(Duration::from_mins(1)));
    }

    #[test]
    fn every_form_of_an_http_date_is_read() {
        let same = "1994-11-06T08:49:37Z".parse().ok();
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(reply(&[("date", text)]).date(), same, "{text}");
        }
    }

    #[test]
    fn millisecond_hints_are_read_and_capped() {
        let at = |text| reply(&[("X-Acs-Retry-After", text)]).retry_after_millis("x-acs-retry-after");
        assert_eq!(at("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(at("999999999"), Some(LONGEST_WAIT));
        assert_eq!((at("0"), at("x")), (None, None));
    }
}
