//! `tagmill validate`: is this config right? Needs neither credentials nor network.

use crate::config;
use std::path::PathBuf;
use std::process::ExitCode;

/// EX_CONFIG of sysexits.
const BAD_CONFIG: u8 = 78;

/// Check the config file and tell everything that is wrong with it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file.
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Let a warning fail the check.
    #[arg(long)]
    deny_warnings: bool,
}

/// Says on stderr what is wrong; the exit code is the answer.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments alike")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(BAD_CONFIG));
        }
    };
    for warning in &config.warnings {
        eprintln!("{}: warning: {warning}", args.config.display());
    }
    for text in config.not_yet() {
        eprintln!("{}: warning: {text}", args.config.display());
    }
    let lanes = config.lanes.len();
    let warnings = config.warnings.len() + config.not_yet().len();
    let many = if lanes == 1 { "" } else { "s" };
    if args.deny_warnings && warnings > 0 {
        eprintln!("{}: {lanes} lane{many}, {warnings} to look at", args.config.display());
        return Ok(ExitCode::from(BAD_CONFIG));
    }
    eprintln!("{}: fine, {lanes} lane{many}", args.config.display());
    Ok(ExitCode::SUCCESS)
}
