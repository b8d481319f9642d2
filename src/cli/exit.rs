//! How a command ends, as a number for scripts.

use crate::fleet::NoDesk;
use std::process::ExitCode;

/// Some items are dead.
pub const DEAD: u8 = 1;
/// Input that gives nothing to work on: nothing readable, an unknown lane, a bad row under `--strict`.
pub const BAD_INPUT: u8 = 65;
/// Broker, state or cloud cannot be used, or only paused lanes have work left.
pub const UNAVAILABLE: u8 = 69;
/// The config is wrong.
pub const CONFIG: u8 = 78;
/// Stopped by the user.
pub const INTERRUPTED: u8 = 130;

/// For `--help`.
pub const HELP: &str = "Exit codes: 0 done, 1 some items are dead, 2 usage, 65 bad input data, \
69 broker, state or cloud unavailable or only paused lanes have work left, 78 config, 130 interrupted";

/// Why there is no connection to the broker, as an exit code.
pub fn of_desk(error: &NoDesk) -> u8 {
    match error {
        NoDesk::Config(_) => CONFIG,
        NoDesk::Broker(_) => UNAVAILABLE,
    }
}

/// Says why on stderr and ends with that code.
pub fn because(code: u8, why: impl std::fmt::Display) -> ExitCode {
    eprintln!("{why}");
    ExitCode::from(code)
}
