//! One file per command. stdout carries data only, stderr everything else; the exit code tells how it ended.

pub mod apply;
pub mod cancel;
pub mod completions;
pub mod config;
pub mod demo;
pub mod dlq;
pub mod exit;
pub mod fleet;
pub mod plan;
pub mod providers;
pub mod schema;
pub mod sim;
pub mod validate;
pub mod whoami;

mod files;

mod progress;
mod report;
mod run;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Tags cloud resources in bulk: fewest calls, within every rate limit, nothing lost.
#[derive(Debug, Parser)]
#[command(name = "tagmill", version, about, after_help = exit::HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Log more to stderr (again for more still); RUST_LOG is heard too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tag 10,000 resources in simulated clouds full of faults, and check the result
    Demo(demo::Args),
    /// Tag what job files ask for, and resume where an earlier run stopped
    Apply(apply::Args),
    /// Show the calls that job files need; nothing is sent
    Plan(plan::Args),
    /// Look at dead letters, replay them, discard them, export them
    Dlq(dlq::Dlq),
    /// End what has not been sent yet: it becomes dead letters with the code `cancelled`
    Cancel(cancel::Args),
    /// Check the config file
    Validate(validate::Args),
    /// Show which account each lane's credentials belong to
    Whoami(whoami::Args),
    /// Show the tagging APIs with their limits and default rates
    Providers(providers::Args),
    /// Work with the config file
    Config(config::Args),
    /// Print the JSON Schema of a document
    Schema(schema::Args),
    /// Serve simulated clouds on a local port
    Sim(sim::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// Runs one command to its exit code.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    crate::telemetry::init(cli.verbose);
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Apply(args) => apply::run(args).await,
        Command::Plan(args) => plan::run(&args),
        Command::Dlq(args) => run::dlq(args).await,
        Command::Cancel(args) => cancel::run(args).await,
        Command::Validate(args) => validate::run(args),
        Command::Whoami(args) => whoami::run(args).await,
        Command::Providers(args) => providers::run(args),
        Command::Config(args) => config::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Sim(args) => sim::run(args).await,
        Command::Completions(args) => completions::run(&args),
    }
}
