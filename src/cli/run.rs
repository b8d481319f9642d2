//! Works a run off: the engine, the progress bar, Ctrl-C, and the ledger at the end. Shared by apply, replay and demo.

use super::{
    dlq::{self, Outcome},
    exit,
    progress::Progress,
    report::{self, Cell, Output, Table},
};
use crate::{
    broker::embedded::{Embedded, LaneTotals, RunId, RunTotals},
    config::LaneConfig,
    job::LaneName,
    worker::{Ended, Worker, WorkerError},
};
use anyhow::Context as _;
use serde::Serialize;
use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

/// The ledger of a run. Each line adds up: accepted = tagged + unchanged + dead + pending.
#[derive(Clone, Debug, PartialEq)]
pub struct Ledger {
    /// Sums and lanes.
    pub totals: RunTotals,
    /// How the worker ended.
    pub ended: Ended,
    /// The lanes of the config it worked with.
    pub lanes: Vec<LaneName>,
}

#[derive(Serialize)]
struct Figures {
    accepted: u64,
    tagged: u64,
    superseded: u64,
    unchanged: u64,
    dead: u64,
    pending: u64,
    calls: u64,
    throttled: u64,
    retries: u64,
}

#[derive(Serialize)]
struct LaneFigures {
    /// Null for bad rows whose lane could not be read.
    name: Option<String>,
    #[serde(flatten)]
    figures: Figures,
    elapsed_seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<String>,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    figures: Figures,
    elapsed_seconds: f64,
    interrupted: bool,
    lanes: Vec<LaneFigures>,
}

fn figures(totals: &LaneTotals) -> Figures {
    Figures {
        accepted: totals.accepted,
        tagged: totals.tagged,
        superseded: totals.superseded,
        unchanged: totals.unchanged,
        dead: totals.dead,
        pending: totals.pending,
        calls: totals.calls,
        throttled: totals.throttled,
        retries: totals.retries,
    }
}

/// Runs the lanes until the run is worked off, stopped, or stuck behind pauses. Ends the run if nothing is left of it.
pub async fn work_off(queue: &Embedded, run: RunId, lanes: &[LaneConfig]) -> Result<Ledger, WorkerError> {
    work_off_until(queue, run, lanes, Stops::listen()).await
}

/// [`work_off`] for a command that has listened for Ctrl-C before.
pub async fn work_off_until(
    queue: &Embedded,
    run: RunId,
    lanes: &[LaneConfig],
    stops: Stops,
) -> Result<Ledger, WorkerError> {
    let before = queue.totals(run).await?.sum();
    let worker = Worker::start(queue, lanes).await?;
    let progress = Progress::new(worker.views(), before.accepted, before.accepted - before.pending);
    let outcome = {
        stops.working.store(true, Ordering::Relaxed);
        let working = worker.run(stops.stopped);
        tokio::pin!(working);
        tokio::select! {
            outcome = &mut working => outcome,
            () = progress.watch() => unreachable_watch(),
        }
    };
    progress.finish();
    let ended = outcome?;
    let totals = queue.totals(run).await?;
    for other in queue.unfinished_runs().await? {
        // Work that an earlier command left behind has been worked off with this run.
        if other.sealed {
            queue.end_run(other.id).await?;
        }
    }
    let lanes = lanes.iter().map(|lane| lane.name.clone()).collect();
    Ok(Ledger { totals, ended, lanes })
}

fn unreachable_watch() -> Result<Ended, WorkerError> {
    // Watching never ends by itself.
    Err(WorkerError::Task("the progress bar ended".into()))
}

/// Ctrl-C and SIGTERM. While calls are made, the first asks for a drain and the second leaves at once; before that
/// there is nothing to wait for. Neither loses anything.
#[derive(Debug)]
pub struct Stops {
    stopped: mpsc::Receiver<()>,
    working: Arc<AtomicBool>,
}

impl Stops {
    /// Listens from now on.
    pub fn listen() -> Self {
        let (stop, stopped) = mpsc::channel(1);
        let working = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&working);
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            let mut asked = false;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if asked || !seen.load(Ordering::Relaxed) {
                    eprintln!("\nleft at once; nothing is lost, and the same command goes on where this one stopped");
                    std::process::exit(i32::from(exit::INTERRUPTED));
                }
                asked = true;
                eprintln!("\nstopping: waiting for calls on their way (again to leave at once)");
                let _ = stop.send(()).await;
            }
        });
        Self { stopped, working }
    }
}

impl Ledger {
    /// Prints the ledger on stdout and what is left to do on stderr.
    pub fn print(&self, output: Output, resume: &str) -> anyhow::Result<()> {
        match output {
            Output::Table => self.table().print(),
            Output::Json | Output::Ndjson => report::print_json(&self.document()),
        }
        .context("writing to stdout")?;
        let sum = self.totals.sum();
        for (lane, why) in &self.ended.paused {
            eprintln!("lane {lane} is paused: {}", report::plain(why));
        }
        if sum.dead > 0 {
            let dead = report::thousands(sum.dead);
            eprintln!("{dead} dead: `tagmill dlq list` shows why, `tagmill dlq replay` sends them again");
        }
        let gone = |name: &LaneName| !self.lanes.contains(name);
        for lane in self.totals.lanes.iter().filter(|lane| lane.pending > 0) {
            if let Some(name) = lane.lane.as_ref().filter(|name| gone(name)) {
                eprintln!(
                    "lane {name} is not in the config any more: put it back, or end its work with `tagmill cancel --lane {name}`"
                );
            }
        }
        if sum.pending > 0 {
            eprintln!("{} pending; {resume}", report::count(sum.pending, "item"));
        }
        Ok(())
    }

    /// The table for people.
    pub fn table(&self) -> Table {
        let heads = ["lane", "accepted", "tagged", "unchanged", "dead", "pending", "calls", "throttled", "retries"];
        let row = |name: &str, totals: &LaneTotals| {
            let numbers = [
                totals.accepted,
                totals.tagged,
                totals.unchanged,
                totals.dead,
                totals.pending,
                totals.calls,
                totals.throttled,
                totals.retries,
            ];
            [Cell::text(name)].into_iter().chain(numbers.map(Cell::number)).collect()
        };
        let mut table = Table::new(&heads);
        for lane in &self.totals.lanes {
            table.row(row(lane.lane.as_ref().map_or("(no lane)", |lane| lane.as_str()), lane));
        }
        table.rule();
        let total = format!("total in {}", report::duration(self.totals.elapsed));
        table.row(row(&total, &self.totals.sum()));
        table
    }

    fn document(&self) -> Document {
        let elapsed = (self.totals.elapsed.as_secs_f64() * 1000.0).round() / 1000.0;
        let paused = |lane: &LaneTotals| {
            let name = lane.lane.as_ref()?;
            self.ended.paused.iter().find(|(other, _)| other == name).map(|(_, why)| why.clone())
        };
        let lanes = self.totals.lanes.iter().map(|lane| LaneFigures {
            name: lane.lane.as_ref().map(|lane| lane.as_str().to_owned()),
            figures: figures(lane),
            elapsed_seconds: elapsed,
            paused: paused(lane),
        });
        Document {
            figures: figures(&self.totals.sum()),
            elapsed_seconds: elapsed,
            interrupted: self.ended.interrupted,
            lanes: lanes.collect(),
        }
    }

    /// How it ended, as a number.
    pub fn code(&self) -> u8 {
        let sum = self.totals.sum();
        if self.ended.interrupted {
            exit::INTERRUPTED
        } else if sum.pending > 0 {
            exit::UNAVAILABLE
        } else if sum.dead > 0 {
            exit::DEAD
        } else {
            0
        }
    }
}

/// `tagmill dlq`, with what a replay leaves to do.
pub async fn dlq(args: dlq::Dlq) -> anyhow::Result<ExitCode> {
    let config = args.config().to_owned();
    let output = args.run_output();
    if args.needs_lanes()
        && let Err(error) = crate::config::load(&config)
    {
        // Before anything is taken out of the store.
        return Ok(exit::because(exit::CONFIG, error));
    }
    match dlq::run(args).await? {
        Outcome::Done(code) => Ok(ExitCode::from(code)),
        Outcome::Replayed(queue, run) => {
            let lanes = match crate::config::load(&config) {
                Ok(config) => config.lanes,
                Err(error) => return Ok(exit::because(exit::CONFIG, error)),
            };
            match work_off(&queue, run, &lanes).await {
                Ok(ledger) => {
                    ledger.print(output, "the next `tagmill apply` or `dlq replay` on this state goes on with them")?;
                    Ok(ExitCode::from(ledger.code()))
                }
                Err(error) => Ok(exit::because(exit::UNAVAILABLE, error)),
            }
        }
    }
}
