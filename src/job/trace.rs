//! The trace that a message belongs to: the W3C's `traceparent` and `tracestate`, read strictly and passed on.

use serde::{Deserialize, Serialize};
use std::{fmt, ops::Range, sync::Arc};

/// The header that names trace and span.
pub const TRACEPARENT: &str = "traceparent";
/// The header beside it, with what each tracing system wants to know again.
pub const TRACESTATE: &str = "tracestate";

/// Characters of version 00, and of what every later version begins with.
const PARENT: usize = 55;
const TRACE_ID: Range<usize> = 3..35;
const SPAN_ID: Range<usize> = 36..52;
const FLAGS: Range<usize> = 53..55;
/// What version 00 has a flag for.
const SAMPLED: u8 = 1;
/// Entries of a `tracestate` at most.
const ENTRIES: usize = 32;
/// Characters of a `tracestate` that are passed on. The standard asks for at least so many.
const STATE: usize = 512;
/// Entries that are longer are the first to go where it is too long.
const LONG: usize = 128;
/// Characters of a key, and of a value, at most.
const WORD: usize = 256;

/// A trace context that is valid. A clone shares its text.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Trace(Arc<Text>);

#[derive(PartialEq, Eq, Hash)]
struct Text {
    /// 55 characters of version 00.
    parent: Box<str>,
    state: Option<Box<str>>,
}

impl Trace {
    /// Reads the two headers. A `traceparent` that is not valid begins a new trace, so nothing is known then; a
    /// `tracestate` that is not valid is dropped alone.
    pub fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let parent = read_parent(parent.trim_matches([' ', '\t']))?;
        let state = state.and_then(read_state).map(String::into_boxed_str);
        Some(Self(Arc::new(Text { parent: parent.into_boxed_str(), state })))
    }

    /// As a `traceparent`.
    pub fn parent(&self) -> &str {
        &self.0.parent
    }

    /// As a `tracestate`, where there is one.
    pub fn state(&self) -> Option<&str> {
        self.0.state.as_deref()
    }

    /// The headers, to be passed on.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [(TRACEPARENT, Some(self.parent())), (TRACESTATE, self.state())]
            .into_iter()
            .filter_map(|(name, text)| Some((name, text?)))
    }

    /// The trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.parent().get(TRACE_ID).unwrap_or_default()
    }

    /// The span that the message was sent in: 16 hexadecimal digits.
    pub fn span_id(&self) -> &str {
        self.parent().get(SPAN_ID).unwrap_or_default()
    }

    /// Whether the sender records the trace.
    pub fn is_sampled(&self) -> bool {
        let flags = self.parent().get(FLAGS).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        flags.is_some_and(|flags| flags & SAMPLED != 0)
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({})", self.parent())
    }
}

/// A `traceparent` as it is passed on.
fn read_parent(text: &str) -> Option<String> {
    let (head, rest) = text.split_at_checked(PARENT)?;
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut parts = head.split('-');
    let parts = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    let [version, trace, span, flags] = parts;
    let sizes = parts.map(str::len) == [2, TRACE_ID.len(), SPAN_ID.len(), FLAGS.len()];
    let is_nothing = |id: &str| id.bytes().all(|b| b == b'0');
    if !sizes || !parts.into_iter().all(is_hex) || is_nothing(trace) || is_nothing(span) || version == "ff" {
        return None;
    }
    if version == "00" {
        return rest.is_empty().then(|| head.to_owned());
    }
    // A later version: what version 00 has stands in the same places, and that is all that may be relied on.
    if !rest.is_empty() && !rest.starts_with('-') {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()? & SAMPLED;
    Some(format!("00-{trace}-{span}-{flags:02x}"))
}

/// A `tracestate` as it is passed on.
fn read_state(text: &str) -> Option<String> {
    let entries = text.split(',').map(|entry| entry.trim_matches([' ', '\t'])).filter(|entry| !entry.is_empty());
    let mut entries: Vec<&str> = entries.take(ENTRIES + 1).collect();
    let mut keys: Vec<&str> = Vec::with_capacity(entries.len());
    for entry in &entries {
        let (key, value) = entry.split_once('=')?;
        if !is_key(key) || !is_value(value) || keys.contains(&key) {
            return None;
        }
        keys.push(key);
    }
    if entries.is_empty() || entries.len() > ENTRIES {
        return None;
    }
    let size = |entries: &[&str]| entries.iter().map(|entry| entry.len() + 1).sum::<usize>() - 1;
    // The newest are in front: what goes is what is long, then what is old.
    while size(&entries) > STATE {
        let last = entries.len() - 1;
        let goes = entries.iter().rposition(|entry| entry.len() > LONG).unwrap_or(last);
        entries.remove(goes);
        if entries.is_empty() {
            return None;
        }
    }
    Some(entries.join(","))
}

/// `vendor`, or `tenant@vendor`.
fn is_key(key: &str) -> bool {
    let begins = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@');
    begins && key.len() <= WORD && key.bytes().all(is_part) && key.bytes().filter(|b| *b == b'@').count() <= 1
}

/// Printable, without the two characters that divide. It cannot end with a blank: that belongs to the comma.
fn is_value(value: &str) -> bool {
    (1..=WORD).contains(&value.len()) && value.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b',' && b != b'=')
}

#[derive(Serialize, Deserialize)]
struct Wire {
    traceparent: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    tracestate: Option<String>,
}

impl TryFrom<Wire> for Trace {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        Self::read(&wire.traceparent, wire.tracestate.as_deref()).ok_or("no traceparent of the W3C's")
    }
}

impl From<Trace> for Wire {
    fn from(trace: Trace) -> Self {
        Self { traceparent: trace.parent().to_owned(), tracestate: trace.state().map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn state(text: &str) -> Option<String> {
        Trace::read(GOOD, Some(text)).unwrap().state().map(str::to_owned)
    }

    #[test]
    fn a_good_context_is_passed_on_as_it_came() {
        let trace = Trace::read(GOOD, Some("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE")).unwrap();
        assert_eq!((trace.trace_id(), trace.span_id()), ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"));
        assert!(trace.is_sampled());
        let headers: Vec<_> = trace.headers().collect();
        assert_eq!(headers, [("traceparent", GOOD), ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")]);
        let unsampled = Trace::read(&GOOD.replace("-01", "-00"), None).unwrap();
        assert!(!unsampled.is_sampled() && unsampled.state().is_none());
    }

    #[test]
    fn what_is_no_traceparent_is_nothing() {
        for bad in [
            "",
            "00",
            "00-abc-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
            "with\nnewline",
        ] {
            assert_eq!(Trace::read(bad, Some("a=1")), None, "{bad:?}");
        }
    }

    #[test]
    fn of_a_later_version_only_what_version_00_has_is_passed_on() {
        let later = GOOD.replacen("00", "cc", 1).replace("-01", "-ff");
        for text in [later.clone(), format!("{later}-what-the-future-holds")] {
            assert_eq!(Trace::read(&text, None).unwrap().parent(), GOOD, "{text}");
        }
        assert_eq!(Trace::read(&format!("{later}x"), None), None);
    }

    #[test]
    fn a_tracestate_that_is_not_valid_is_dropped_alone() {
        assert_eq!(state("a=1,,\tb=2 ,"), Some("a=1,b=2".into()));
        assert_eq!(state("t1@vendor=x y,0a/b*c_d-e=!~"), Some("t1@vendor=x y,0a/b*c_d-e=!~".into()));
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        assert!(state(&many(32)).is_some());
        let long = format!("{}=v", "k".repeat(257));
        let wide = format!("k={}", "v".repeat(257));
        let more = many(33);
        for bad in ["", ",", "a", "a=", "A=1", "=1", "a=1=2", "a=é", "a=1,a=2", "a=\n1", "a@b@c=1", &long, &wide, &more]
        {
            assert_eq!(state(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_tracestate_that_is_too_long_loses_long_entries_and_then_the_oldest() {
        let entry = |key: &str, size: usize| format!("{key}={}", "v".repeat(size));
        let text = [entry("new", 100), entry("long", 200), entry("b", 100), entry("c", 100), entry("d", 100)].join(",");
        let kept = [entry("new", 100), entry("b", 100), entry("c", 100), entry("d", 100)].join(",");
        assert_eq!(state(&text), Some(kept));
        let text = (0..10).map(|n| entry(&format!("k{n}"), 97)).collect::<Vec<_>>().join(",");
        let kept = (0..5).map(|n| entry(&format!("k{n}"), 97)).collect::<Vec<_>>().join(",");
        assert_eq!(state(&text), Some(kept));
    }

    #[test]
    fn it_is_kept_as_json_and_read_back() {
        let trace = Trace::read(GOOD, Some("a=1")).unwrap();
        let text = serde_json::to_string(&trace).unwrap();
        assert_eq!(text, format!(r#"{{"traceparent":"{GOOD}","tracestate":"a=1"}}"#));
        assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace);
        assert!(serde_json::from_str::<Trace>(r#"{"traceparent":"00"}"#).is_err());
    }
}
