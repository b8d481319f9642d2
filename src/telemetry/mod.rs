//! Logs to stderr and counts: one vocabulary of events, no secret, no request body, no tag value.

pub mod metrics;
pub mod tally;

pub use metrics::{Broker, LaneNow, Metrics, Reloads};
pub use tally::Tally;

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// What libraries may say at most. Below that some of them print requests, signed texts and command lines, and a secret
/// in any of those.
const OTHERS: tracing::Level = tracing::Level::INFO;
/// AWS's own already name whole credential chains at that level.
const AWS: tracing::Level = tracing::Level::WARN;

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
    init_as(verbose, Format::Human);
}

/// Starts logging at a level: 0 warnings and errors, 1 infos, 2 debugging, then everything. `RUST_LOG` overrules.
pub fn init_as(level: u8, format: Format) {
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
    let safe = filter_fn(|event| may_speak(event.target(), *event.level()));
    // A second start, as in tests, changes nothing.
    let _ = tracing_subscriber::registry().with(lines.with_filter(safe)).with(filter).try_init();
}

fn may_speak(target: &str, level: tracing::Level) -> bool {
    if target == "tagmill" || target.starts_with("tagmill::") {
        return true;
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
        for target in ["hyper::proto", "reqwest::connect", "lapin::channel", "tagmillion"] {
            assert!(may_speak(target, Level::INFO) && !may_speak(target, Level::DEBUG), "{target}");
        }
        for target in ["aws_sigv4::http_request", "aws_config::profile", "aws_smithy_runtime::client"] {
            assert!(may_speak(target, Level::WARN) && !may_speak(target, Level::INFO), "{target}");
        }
    }
}
