//! `tagmill cancel`: what has not been sent yet is not sent any more; it ends as dead letters.

mod fleet;

use super::{exit, report};
use crate::{
    broker::embedded::{CancelFilter, Embedded},
    config,
    job::{
        JobId, LaneName,
        parse::{self, Defaults},
    },
};
use std::{io::IsTerminal as _, path::PathBuf, process::ExitCode};

/// End what has not been sent yet: it becomes dead letters with the code `cancelled`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this lane
    #[arg(long, value_parser = LaneName::new)]
    lane: Option<LaneName>,
    /// Only this job
    #[arg(long, value_name = "ID", value_parser = JobId::new)]
    job: Option<JobId>,
    /// Only this batch (on a broker)
    #[arg(long, value_name = "ID")]
    batch: Option<String>,
    /// All that waits in any lane (on a broker)
    #[arg(long, conflicts_with_all = ["lane", "job", "batch"])]
    all_lanes: bool,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Directory of an embedded queue; where left out, the config's `broker`, or its `state` if it has none
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Cancels in a fleet, or on a state that nobody works on: stop `apply` first (Ctrl-C), the state says so otherwise.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let state = match &args.state {
        Some(state) => state.clone(),
        None => match config::load(&args.config) {
            Ok(config) if config.broker.is_some() => return fleet::run(&args, &config).await,
            Ok(config) => config.state,
            Err(error) => return Ok(exit::because(exit::CONFIG, error)),
        },
    };
    if args.batch.is_some() || args.all_lanes {
        return Ok(exit::because(2, "--batch and --all-lanes need a broker: without any filter, everything is meant"));
    }
    if !Embedded::is_in(&state) {
        let why = format!("there is no queue in {}: name its directory with --state", state.display());
        return Ok(exit::because(exit::UNAVAILABLE, why));
    }
    let queue = match Embedded::open(&state) {
        Ok(queue) => queue,
        Err(error) => return Ok(exit::because(exit::UNAVAILABLE, error)),
    };
    if !args.yes && !confirmed("Cancel everything pending that matches?")? {
        return Ok(exit::because(2, "nothing was cancelled; give --yes to cancel without being asked"));
    }
    let filter = CancelFilter { lane: args.lane, job: args.job, run: None };
    let cancelled = match queue.cancel(filter, |bytes| parse::job(bytes, &Defaults::default()).ok()).await {
        Ok(cancelled) => cancelled,
        Err(error) => return Ok(exit::because(exit::UNAVAILABLE, error)),
    };
    for run in queue.unfinished_runs().await? {
        queue.end_run(run.id).await?;
    }
    let (jobs, items) = (report::count(cancelled.jobs, "job"), report::count(cancelled.items, "item"));
    eprintln!("cancelled {items} of {jobs}; `tagmill dlq list --code cancelled` shows them");
    Ok(ExitCode::SUCCESS)
}

fn confirmed(question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
