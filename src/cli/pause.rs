//! `tagmill pause` and `tagmill resume`: what lanes shall do, whoever has them now and later.

use super::{exit, report};
use crate::{
    broker::{
        BrokerError, Orders,
        rabbitmq::{
            Gauge,
            control::{Asker, WorkerReport},
            orders,
        },
    },
    config,
    fleet::{
        self, Desk,
        look::{known, owner},
    },
    job::{LaneName, suggest},
    worker::clock,
};
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, time::Duration};
use tokio::time::Instant;

/// How long workers may take to do as they are told, until the command ends without having seen it.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long they may take to answer one question.
const ANSWER: Duration = Duration::from_millis(1500);
/// Wait between two questions.
const AGAIN: Duration = Duration::from_millis(150);

/// Let lanes make no more calls, or go on.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Names of lanes
    #[arg(value_name = "LANE", required_unless_present = "all", conflicts_with = "all", value_parser = LaneName::new)]
    lanes: Vec<LaneName>,
    /// All lanes of the config, and all that the fleet ever had
    #[arg(long)]
    all: bool,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

/// What lanes shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Make no more calls.
    Pause,
    /// Go on.
    Resume,
}

/// Gives the order and waits a moment for the workers to follow it.
pub async fn run(args: Args, wish: Wish) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let broker = match fleet::broker(&config) {
        Ok(broker) => broker,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let desk = match Desk::open(broker, "pause").await {
        Ok(desk) => desk,
        Err(error) => return Ok(exit::because(exit::of_desk(&error), error)),
    };
    let in_config: Vec<LaneName> = config.lanes.iter().map(|lane| lane.name.clone()).collect();
    let done = give(&args, wish, &desk, &in_config).await;
    desk.close().await;
    Ok(done.unwrap_or_else(|error| exit::because(exit::UNAVAILABLE, error)))
}

async fn give(args: &Args, wish: Wish, desk: &Desk, in_config: &[LaneName]) -> Result<ExitCode, BrokerError> {
    let (all, before) = known(&desk.link, in_config).await?;
    let wanted: Vec<LaneName> = if args.all { all.clone() } else { args.lanes.clone() };
    if let Some(text) = unknown(&wanted, &all) {
        return Ok(exit::because(2, text));
    }
    let (publisher, now) = (desk.publisher(), clock::wall());
    let order = |orders: &mut Orders| {
        for lane in &wanted {
            match wish {
                Wish::Pause => orders.pause(lane, now),
                Wish::Resume => orders.resume(lane, now),
            }
        }
    };
    let orders = orders::change(&desk.link, &publisher, now, order).await?;
    let lanes: BTreeSet<&LaneName> = wanted.iter().collect();
    for lane in watch(wish, desk, &lanes, orders.revision).await? {
        let already = match (wish, before.paused.get(&lane.name)) {
            (Wish::Pause, Some(since)) => format!(" (since {since:.0})"),
            (Wish::Resume, None) => " (no order had paused it)".to_owned(),
            _ => String::new(),
        };
        eprintln!("{}: {}{already}; {}", lane.name, done(wish), lane.text(wish));
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said of the first name that nobody knows.
pub(super) fn unknown(wanted: &[LaneName], all: &[LaneName]) -> Option<String> {
    let name = wanted.iter().find(|name| !all.contains(name))?;
    let hint = suggest::hint(name.as_str(), all.iter().map(LaneName::as_str));
    Some(format!("there is no lane {name} in the config or in the fleet{hint}"))
}

fn done(wish: Wish) -> &'static str {
    match wish {
        Wish::Pause => "paused",
        Wish::Resume => "resumed",
    }
}

/// What was seen of a lane after the order.
struct Seen {
    name: LaneName,
    has_consumer: bool,
    /// The worker that has it, what it says of it, and calls on their way.
    owner: Option<(String, Option<String>, u64)>,
    /// Workers that know of the order and of the lane.
    know: usize,
}

impl Seen {
    /// Whether there is nothing more to wait for.
    fn is_done(&self, wish: Wish) -> bool {
        match &self.owner {
            Some((_, paused, in_flight)) => match wish {
                Wish::Pause => paused.is_some() && *in_flight == 0,
                // What pauses itself again at once, for a key that is still wrong, has gone on too.
                Wish::Resume => self.know > 0,
            },
            None => !self.has_consumer || self.know > 0,
        }
    }

    fn text(&self, wish: Wish) -> String {
        let Self { owner, know, has_consumer, .. } = self;
        match (owner, wish) {
            (Some((worker, Some(_), 0)), Wish::Pause) => format!("worker {worker} has stopped calling"),
            (Some((worker, Some(_), calls)), Wish::Pause) => {
                format!("worker {worker} waits for {} on their way", report::count(*calls, "call"))
            }
            (Some((worker, Some(why), _)), Wish::Resume) if *know > 0 => {
                format!("worker {worker} has tried, and is paused again: {}", report::plain(why))
            }
            (Some((worker, ..)), Wish::Resume) if *know > 0 => format!("worker {worker} goes on"),
            (Some((worker, ..)), _) => {
                format!("worker {worker} has not said so within {PATIENCE:?}: look with `tagmill status`")
            }
            (None, _) if *know > 0 => {
                format!("nobody works on it now; {} of it know", report::count(*know as u64, "worker"))
            }
            (None, Wish::Pause) if !has_consumer => {
                "no worker has the lane now, the next one will find it paused".to_owned()
            }
            (None, Wish::Resume) if !has_consumer => "no worker has the lane now".to_owned(),
            (None, _) => format!("its worker did not answer within {PATIENCE:?}: look with `tagmill status`"),
        }
    }
}

/// Asks until every lane is as it shall be, or the time is over.
async fn watch(wish: Wish, desk: &Desk, lanes: &BTreeSet<&LaneName>, revision: u64) -> Result<Vec<Seen>, BrokerError> {
    let mut asker = Asker::new(&desk.link).await?;
    let end = Instant::now() + PATIENCE;
    loop {
        let mut gauge = Gauge::new(&desk.link);
        let mut consumed = BTreeSet::new();
        for lane in lanes {
            if gauge.depth(&desk.link.names().lane_queue(lane)).await?.is_some_and(|depth| depth.consumers > 0) {
                consumed.insert((*lane).clone());
            }
        }
        gauge.close().await;
        let see = |workers: &[WorkerReport]| -> Vec<Seen> {
            lanes.iter().map(|lane| seen(lane, consumed.contains(*lane), workers, revision)).collect()
        };
        let is_done = |workers: &[WorkerReport]| see(workers).iter().all(|lane| lane.is_done(wish));
        let workers = match &mut asker {
            Some(asker) if !consumed.is_empty() => asker.status(ANSWER, is_done).await?,
            _ => Vec::new(),
        };
        if is_done(&workers) || Instant::now() >= end {
            if let Some(asker) = asker {
                asker.close().await;
            }
            return Ok(see(&workers));
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn seen(lane: &LaneName, has_consumer: bool, workers: &[WorkerReport], revision: u64) -> Seen {
    let has = |worker: &&WorkerReport| worker.lanes.iter().any(|report| report.name == *lane);
    let knows = |worker: &&WorkerReport| worker.orders >= revision;
    let owner = owner(workers, lane);
    let know = match &owner {
        // Of an owner's lane, only what the owner knows counts.
        Some((name, _)) => workers.iter().filter(|worker| worker.worker == *name).filter(knows).count(),
        None => workers.iter().filter(has).filter(knows).count(),
    };
    let owner = owner.map(|(worker, report)| (worker, report.paused, report.in_flight));
    Seen { name: lane.clone(), has_consumer, owner, know }
}
