//! Logs to stderr, spans of calls, and counts: one vocabulary of events, no secret, no request body, no tag value.

pub mod metrics;
pub mod spans;
pub mod tally;

#[cfg(feature = "otlp")]
mod otlp;

pub use metrics::{Broker, LaneNow, Metrics, Reloads};
pub use tally::Tally;

use crate::job::Trace;
use tracing::{Span, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt as _, filter_fn},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

/// What libraries may say at most. Below that some of them print requests, signed texts and command lines, and a secret
/// in any of those.
const OTHERS: tracing::Level = tracing::Level::INFO;
/// AWS's own already name whole credential chains at that level.
const AWS: tracing::Level = tracing::Level::WARN;

/// The standard's variables that say where spans go; the first one is for them alone.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging for people: warnings and errors, more with each `-v`; `RUST_LOG` overrules, for our own events without
/// limit, for those of libraries up to where they would print secrets.
pub fn init(verbose: u8) {
    init_as(verbose, Format::Human, false);
}

/// Starts logging at a level: 0 warnings and errors, 1 infos, 2 debugging, then everything. `RUST_LOG` overrules. `calls`
/// says that the process calls providers, so that spans may have somewhere to go.
pub fn init_as(level: u8, format: Format, calls: bool) {
    let level = match level {
        0 => "tagmill=warn",
        1 => "tagmill=info",
        2 => "tagmill=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    let lines = match format {
        Format::Human => lines.boxed(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    // Spans are for the collector alone: no line shows them.
    let safe = filter_fn(|found| found.is_event() && may_speak(found.target(), *found.level()));
    let (export, told) = if calls { export() } else { (None, None) };
    // A second start, as in tests, changes nothing.
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter.and(safe))).with(export).try_init();
    if let Some(told) = told {
        tracing::warn!("{told}");
    }
}

/// Something that hears spans, over any subscriber.
type Ear<S> = Box<dyn Layer<S> + Send + Sync>;

/// What exports spans, where the environment says where to; what is wrong with that.
fn export<S>() -> (Option<Ear<S>>, Option<String>)
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    let is = |name: &str, wanted: fn(&str) -> bool| std::env::var(name).is_ok_and(|text| wanted(text.trim()));
    let off = is("OTEL_SDK_DISABLED", |text| text.eq_ignore_ascii_case("true"))
        || is("OTEL_TRACES_EXPORTER", |text| text == "none");
    let endpoint = ENDPOINTS.into_iter().find(|name| is(name, |text| !text.is_empty()));
    match endpoint.filter(|_| !off) {
        Some(name) => exporter(name),
        None => (None, None),
    }
}

#[cfg(feature = "otlp")]
fn exporter<S>(_: &str) -> (Option<Ear<S>>, Option<String>)
where
    S: Subscriber + for<'s> LookupSpan<'s> + Send + Sync,
{
    match otlp::layer() {
        Ok(layer) => (Some(layer), None),
        Err(why) => (None, Some(format!("no spans are exported: {why}"))),
    }
}

#[cfg(not(feature = "otlp"))]
fn exporter<S>(endpoint: &str) -> (Option<Ear<S>>, Option<String>) {
    (None, Some(format!("{endpoint} is set, and this build exports no spans: build it with `--features otlp`")))
}

/// Puts the span of a call where its jobs are traced.
#[cfg_attr(not(feature = "otlp"), allow(unused_variables, reason = "nobody traces"))]
fn join(span: &Span, jobs: usize, traces: &[Trace]) {
    #[cfg(feature = "otlp")]
    otlp::join(span, jobs, traces);
}

/// Waits until what was heard is exported, for some seconds at most. The last thing a process does.
pub fn flush() {
    #[cfg(feature = "otlp")]
    otlp::flush();
}

fn may_speak(target: &str, level: tracing::Level) -> bool {
    if target == "tagmill" || target.starts_with("tagmill::") {
        return true;
    }
    // It logs as an error what it also returns, such as a lock that somebody else has: that is told where it is handled.
    if target == "lapin" || target.starts_with("lapin::") {
        return false;
    }
    level <= if target.starts_with("aws_") { AWS } else { OTHERS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn we_may_say_anything_and_libraries_nothing_that_can_hold_a_secret() {
        assert!(may_speak("tagmill::worker", Level::TRACE));
        for target in ["hyper::proto", "reqwest::connect", "lapinator", "tagmillion"] {
            assert!(may_speak(target, Level::INFO) && !may_speak(target, Level::DEBUG), "{target}");
        }
        assert!(!may_speak("lapin::channels", Level::ERROR), "what it returns is told by us");
        for target in ["aws_sigv4::http_request", "aws_config::profile", "aws_smithy_runtime::client"] {
            assert!(may_speak(target, Level::WARN) && !may_speak(target, Level::INFO), "{target}");
        }
    }
}
