//! Parse arguments, run one command, turn the result into an exit code.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = tagmill::cli::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tagmill: the runtime cannot be started: {error}");
            return ExitCode::from(tagmill::cli::exit::UNAVAILABLE);
        }
    };
    let outcome = runtime.block_on(tagmill::cli::run(cli));
    tagmill::telemetry::flush();
    // A thread that still reads a file or a terminal must not hold the exit up.
    runtime.shutdown_background();
    outcome.unwrap_or_else(|error| {
        eprintln!("tagmill: {error:#}");
        ExitCode::FAILURE
    })
}
