//! `tagmill rules`: try the rules of a config on events, without sending anything.

mod explain;
mod list;
mod said;
mod test;

pub use list::markdown;

use super::report::Output;
use crate::{
    config::{self, Config, LaneConfig},
    event::LaneFacts,
    job::{Job, LaneName},
};
use clap::{Args, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Try the rules of a config on events; nothing is sent, no credentials are needed.
#[derive(Debug, Args)]
pub struct Rules {
    #[command(subcommand)]
    command: Command,
    /// The config file
    #[arg(short, long, global = true, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that events make the jobs that `tests` say
    Test {
        /// A file with `tests`, and `rules` and `lanes` of its own or those of --config; left out: the `tests` of --config
        file: Option<PathBuf>,
    },
    /// Show what each rule makes of an event, what each path found, and why a tag was left out
    Explain(explain::Args),
    /// Show the creations that rules need no `ids` for
    List {
        /// How to print
        #[arg(long, value_enum, default_value_t)]
        output: Output,
        /// The table of docs/EVENTS.md, in Markdown
        #[arg(long, conflicts_with = "output")]
        markdown: bool,
    },
}

/// Runs one of the commands.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments alike")]
pub fn run(args: Rules) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Test { file } => test::run(&args.config, file.as_deref()),
        Command::Explain(explain) => explain::run(&args.config, &explain),
        Command::List { output, markdown } => list::run(output, markdown),
    }
}

/// The lanes of a config as rules see them.
fn facts(config: &Config) -> Vec<LaneFacts> {
    config.lanes.iter().map(LaneConfig::facts).collect()
}

/// What the provider of its lane will never accept of a job, for people.
fn refused(config: &Config, job: &Job) -> Vec<String> {
    let lane = config.lanes.iter().find(|lane| lane.name == job.lane);
    let Some(provider) = lane.and_then(|lane| (lane.provider.build)(&lane.settings).ok()) else { return Vec::new() };
    let checked = provider.check(job);
    let named = |(index, text): (usize, String)| match job.resources.get(index) {
        Some(resource) => format!("{}: {text}", resource.id),
        None => text,
    };
    checked.job.into_iter().chain(checked.resources.into_iter().map(named)).collect()
}

/// The provider of a lane, by its name.
fn provider<'c>(config: &'c Config, lane: &LaneName) -> &'c str {
    config.lanes.iter().find(|known| known.name == *lane).map_or("unknown", |lane| lane.provider.name)
}
