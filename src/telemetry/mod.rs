//! Logs to stderr: one vocabulary of events, no secret, no request body, no tag value.

use tracing_subscriber::EnvFilter;

/// Starts logging: warnings and errors, more with each `-v`; `RUST_LOG` overrules.
pub fn init(verbose: u8) {
    let level = match verbose {
        0 => "tagmill=warn",
        1 => "tagmill=info",
        2 => "tagmill=debug",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A second start, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
}
