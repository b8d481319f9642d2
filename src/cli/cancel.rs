//! `tagmill cancel`: what has not been sent yet is not sent any more; it ends as dead letters.

use super::{
    exit,
    fleet::{self, Place},
    report,
};
use crate::{
    broker::{
        BrokerError, CancelOrder, Orders,
        embedded::{CancelFilter, Embedded},
        rabbitmq::{Link, Publisher, orders},
    },
    config::{self, Config},
    job::{
        JobId, LaneName,
        parse::{self, Defaults},
    },
    worker::clock,
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
    /// Only this batch, as `tagmill submit` named it (on a broker)
    #[arg(long, value_name = "NAME")]
    batch: Option<String>,
    /// Everything that was sent to any lane until now (on a broker)
    #[arg(long, conflicts_with_all = ["lane", "job", "batch"])]
    all_lanes: bool,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Directory of the embedded queue (the config's `state` where left out)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Cancels where the work waits: on the broker of the config, or in an embedded queue.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(state) = args.state.clone() {
        return embedded(args, state).await;
    }
    match config::load(&args.config) {
        Ok(config) if config.broker.is_some() => on_broker(args, &config).await,
        Ok(config) => embedded(args, config.state).await,
        Err(error) => Ok(exit::because(exit::CONFIG, error)),
    }
}

/// Orders the fleet not to send it. Whoever has the lanes hears at once, and whoever takes them over reads the same.
async fn on_broker(args: Args, config: &Config) -> anyhow::Result<ExitCode> {
    let place = match fleet::place(config) {
        Ok(place) => place,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    if args.lane.is_none() && args.job.is_none() && args.batch.is_none() && !args.all_lanes {
        let why = "name what to cancel: --batch, --job or --lane, or --all-lanes for everything sent until now";
        return Ok(exit::because(2, why));
    }
    if !args.yes && !confirmed()? {
        return Ok(exit::because(2, "nothing was cancelled; give --yes to cancel without being asked"));
    }
    let order = CancelOrder { lane: args.lane, job: args.job, batch: args.batch, at: clock::wall() };
    match give(place, order).await {
        Ok(orders) => {
            eprintln!(
                "cancelled: workers drop it as they come to it, calls on their way are not taken back. Each job ends \
                 with a receipt; `tagmill dlq list --code cancelled` shows what was not sent"
            );
            if orders.paused.keys().next().is_some() {
                let lanes: Vec<&str> = orders.paused.keys().map(LaneName::as_str).collect();
                eprintln!("paused lanes ({}) drop it too", lanes.join(", "));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Ok(exit::because(exit::UNAVAILABLE, error)),
    }
}

async fn give(place: Place, order: CancelOrder) -> Result<Orders, BrokerError> {
    let Place { address, topology, names } = place;
    let link = Link::open(&address, "tagmill cancel").await?;
    topology.prepare(&link, &names).await?;
    let publisher = Publisher::start(address, "tagmill cancel publishing".into(), topology, names);
    let given = orders::change(&link, &publisher, order.at, |orders| orders.cancelled.push(order.clone())).await;
    link.close().await;
    given
}

/// Cancels on a state that nobody works on: stop `apply` first (Ctrl-C), the state says so otherwise.
async fn embedded(args: Args, state: PathBuf) -> anyhow::Result<ExitCode> {
    if args.batch.is_some() || args.all_lanes {
        let why = "--batch and --all-lanes are for work on a broker; an embedded queue has --lane and --job";
        return Ok(exit::because(2, why));
    }
    if !Embedded::is_in(&state) {
        let why = format!("there is no queue in {}: name its directory with --state", state.display());
        return Ok(exit::because(exit::UNAVAILABLE, why));
    }
    let queue = match Embedded::open(&state) {
        Ok(queue) => queue,
        Err(error) => return Ok(exit::because(exit::UNAVAILABLE, error)),
    };
    if !args.yes && !confirmed()? {
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

fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!("Cancel everything pending that matches? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
