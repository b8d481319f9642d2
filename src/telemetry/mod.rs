//! Logs to stderr: one vocabulary of events, no secret, no request body, no tag value.

use tracing_subscriber::EnvFilter;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging for people: warnings and errors, more with each `-v`; `RUST_LOG` overrules.
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
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false);
    // A second start, as in tests, changes nothing.
    let _ = match format {
        Format::Human => lines.try_init(),
        Format::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
    };
}
