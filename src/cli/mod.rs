//! One file per command. stdout carries data only, stderr everything else; the exit code tells how it ended.

pub mod apply;
pub mod cancel;
pub mod completions;
pub mod config;
pub mod demo;
pub mod dlq;
pub mod exit;
pub mod healthcheck;
pub mod ingest;
pub mod pause;
pub mod plan;
pub mod providers;
pub mod rules;
pub mod schema;
pub mod sim;
pub mod status;
pub mod submit;
pub mod validate;
pub mod watch;
pub mod whoami;
pub mod worker;

mod files;
mod interrupt;
mod log;
mod notify;
mod progress;
mod reload;
mod report;
mod run;
mod trace;

use crate::telemetry::Format;
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
    /// Work for a fleet: take jobs from the broker and tag, until told to stop
    Worker(worker::Args),
    /// Take jobs and events over HTTP for a fleet; tag nothing
    Ingest(ingest::Args),
    /// Ask a worker or an ingest on this machine how it is
    Healthcheck(healthcheck::Args),
    /// Show the calls that job files need; nothing is sent
    Plan(plan::Args),
    /// Send what job files ask for to the workers of a fleet
    Submit(submit::Args),
    /// Follow a batch, or one job, to its end
    Watch(watch::Args),
    /// Look at dead letters, replay them, discard them, export them
    Dlq(dlq::Dlq),
    /// Show the lanes of a fleet, their workers, and what waits where
    Status(status::Args),
    /// Let lanes make no more calls, whoever has them now and later
    Pause(pause::Args),
    /// Let lanes go on
    Resume(pause::Args),
    /// End what has not been sent yet: it becomes dead letters with the code `cancelled`
    Cancel(cancel::Args),
    /// Check the config file
    Validate(validate::Args),
    /// Show which account each lane's credentials belong to
    Whoami(whoami::Args),
    /// Show the tagging APIs with their limits and default rates
    Providers(providers::Args),
    /// Try the rules of a config on events: test, explain, list
    Rules(rules::Rules),
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
    let (level, format) = match &cli.command {
        // Nobody watches a worker: its log has to say what it does.
        Command::Worker(args) => (1_u8, args.log_format()),
        Command::Ingest(args) => (1_u8, args.log_format()),
        _ => (0, Format::Human),
    };
    let calls = matches!(cli.command, Command::Demo(_) | Command::Apply(_) | Command::Worker(_));
    crate::telemetry::init_as(level.saturating_add(cli.verbose), format, calls);
    match cli.command {
        Command::Demo(args) => demo::run(args).await,
        Command::Apply(args) => apply::run(args).await,
        Command::Worker(args) => worker::run(args).await,
        Command::Ingest(args) => ingest::run(args).await,
        Command::Healthcheck(args) => healthcheck::run(args).await,
        Command::Plan(args) => plan::run(&args),
        Command::Submit(args) => submit::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Dlq(args) => run::dlq(args).await,
        Command::Status(args) => status::run(args).await,
        Command::Pause(args) => pause::run(args, pause::Wish::Pause).await,
        Command::Resume(args) => pause::run(args, pause::Wish::Resume).await,
        Command::Cancel(args) => cancel::run(args).await,
        Command::Validate(args) => validate::run(args),
        Command::Whoami(args) => whoami::run(args).await,
        Command::Providers(args) => providers::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Config(args) => config::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Sim(args) => sim::run(args).await,
        Command::Completions(args) => completions::run(&args),
    }
}
