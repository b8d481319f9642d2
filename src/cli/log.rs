//! How a command that runs for long writes its log.

use crate::telemetry;

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

impl LogFormat {
    /// The same in the words of the log.
    pub(super) fn format(self) -> telemetry::Format {
        match self {
            Self::Human => telemetry::Format::Human,
            Self::Json => telemetry::Format::Json,
        }
    }
}
