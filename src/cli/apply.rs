//! `tagmill apply`: job files through the embedded queue to the clouds, resumable at any moment.

use super::{
    exit,
    files::{Bad, Found, Input, InputError, Reader},
    report::{self, Output},
    run as runs, trace,
};
use crate::{
    broker::{
        BrokerError,
        embedded::{Embedded, EnqueueRow, Run, RunState},
    },
    config::{self, Config},
    job::Trace,
    worker::clock,
};
use anyhow::Context as _;
use jiff::Timestamp;
use std::{path::PathBuf, process::ExitCode};

/// Rows enqueued in one transaction.
const CHUNK: usize = 5_000;
/// Bad rows told one by one.
const BAD_LISTED: u64 = 20;

/// Tag what job files ask for, and resume where an earlier run stopped.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: Input,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Directory of the embedded queue (the config's `state` where left out)
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Send nothing if a single row is bad
    #[arg(long)]
    strict: bool,
}

/// For a config that names a broker.
const BESIDE_A_FLEET: &str = "broker: `apply` works on its own embedded queue beside the fleet, and both would share the \
                              account's rate; `tagmill submit` hands the files to the fleet";

/// Why the files did not get into the queue.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// What the files held.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) jobs: u64,
    pub(super) bad: u64,
    /// Bad rows whose lane does not exist.
    pub(super) unknown_lane: u64,
    told: u64,
}

impl Rows {
    /// Counts a bad row and tells it on stderr, unless enough were told.
    pub(super) fn tell(&mut self, bad: &Bad) {
        self.bad += 1;
        self.unknown_lane += u64::from(bad.code == "unknown_lane");
        if self.told < BAD_LISTED {
            self.told += 1;
            eprintln!("{}:{}: {}: {}", bad.file, bad.line, bad.code, report::plain(&bad.message));
        }
    }

    /// How many were not told.
    pub(super) fn tell_rest(&self) {
        if self.bad > self.told {
            eprintln!("and {} more", report::count(self.bad - self.told, "bad row"));
        }
    }
}

/// Reads, enqueues, works off, reports.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    if config.broker.is_some() {
        eprintln!("{}: warning: {BESIDE_A_FLEET}", args.config.display());
    }
    let reader = match Reader::new(&args.input, &config) {
        Ok(reader) => reader,
        Err(error) => return Ok(exit::because(exit::BAD_INPUT, error)),
    };
    let state = args.state.as_ref().unwrap_or(&config.state);
    let queue = match Embedded::open(state) {
        Ok(queue) => queue,
        Err(error) => return Ok(exit::because(exit::UNAVAILABLE, error)),
    };
    match enqueue_and_work(&args, &config, &reader, &queue).await {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) => match error.downcast_ref::<Stop>() {
            Some(Stop::Input(_)) => Ok(exit::because(exit::BAD_INPUT, error)),
            Some(Stop::Broker(_)) => Ok(exit::because(exit::UNAVAILABLE, error)),
            None => Err(error),
        },
    }
}

async fn enqueue_and_work(args: &Args, config: &Config, reader: &Reader, queue: &Embedded) -> anyhow::Result<u8> {
    // A large file takes its time to be read: Ctrl-C is answered from here on.
    let stops = runs::Stops::listen();
    let run = queue.begin_run(&reader.key, &reader.label).await.map_err(Stop::from)?;
    // Stopped before a row was in the queue, the files were perhaps not looked at to their end.
    let resuming = !matches!(run.state, RunState::New | RunState::Resuming { rows_done: 0, sealed: false });
    if let RunState::Resuming { rows_done, sealed } = run.state
        && resuming
    {
        let rows = report::count(rows_done, "row");
        let how = if sealed { "all of them" } else { "so far" };
        eprintln!("going on with an unfinished run of {}: {rows} read, {how}", reader.label);
    }
    if !matches!(run.state, RunState::Resuming { sealed: true, .. })
        && let Some(code) = fill(args, reader, queue, run, resuming).await?
    {
        return Ok(code);
    }
    let ledger = match runs::work_off_until(queue, run.id, &config.lanes, stops).await {
        Ok(ledger) => ledger,
        Err(error) => {
            eprintln!("{error}");
            eprintln!("nothing is lost: the same command goes on with the run");
            return Ok(exit::UNAVAILABLE);
        }
    };
    ledger.print(args.output, "the same command goes on with them").context("printing the ledger")?;
    Ok(ledger.code())
}

/// Reads the files into the queue. A code means that nothing will be sent.
async fn fill(args: &Args, reader: &Reader, queue: &Embedded, run: Run, resuming: bool) -> anyhow::Result<Option<u8>> {
    let mut rows = Rows::default();
    // Before anything is in the queue, the whole file is looked at once: an unknown lane, or a bad row under --strict,
    // stops the run while nothing has been sent.
    if !resuming {
        let look = reader.each::<Stop>(|found| {
            match found {
                Found::Bad(bad) => rows.tell(&bad),
                Found::Job { file, job, refused, line } if !refused.is_empty() => rows.tell(&Bad {
                    file,
                    line,
                    code: "invalid",
                    message: refused.join("; "),
                    lane: Some(job.lane.clone()),
                    bytes: Vec::new(),
                }),
                Found::Job { .. } => rows.jobs += 1,
            }
            Ok(())
        });
        rows.tell_rest();
        let why = match look {
            Err(error) => Some(error.to_string()),
            Ok(()) if rows.unknown_lane > 0 => Some(format!(
                "{} with a lane that is not in the config; nothing was sent",
                report::count(rows.unknown_lane, "row")
            )),
            Ok(()) if args.strict && rows.bad > 0 => {
                Some(format!("{} and --strict was given; nothing was sent", report::count(rows.bad, "bad row")))
            }
            Ok(()) if rows.jobs == 0 && rows.bad == 0 => Some("there are no rows in the files".into()),
            Ok(()) => None,
        };
        if let Some(why) = why {
            queue.abandon(run.id).await.map_err(Stop::from)?;
            eprintln!("{why}");
            return Ok(Some(exit::BAD_INPUT));
        }
    }
    load(reader, queue, run).await?;
    if let Some(path) = reader.changed() {
        queue.abandon(run.id).await.map_err(Stop::from)?;
        eprintln!("{}: changed while it was read; nothing was sent, run the command again", path.display());
        return Ok(Some(exit::BAD_INPUT));
    }
    queue.seal(run.id).await.map_err(Stop::from)?;
    if !resuming && rows.jobs == 0 {
        let totals = queue.totals(run.id).await.map_err(Stop::from)?;
        // Nothing readable: the rows are dead letters now, and there is nothing to send.
        if totals.sum().pending == 0 {
            let ended = crate::worker::Ended::default();
            let ledger = runs::Ledger { totals, ended, lanes: Vec::new() };
            queue.end_run(run.id).await.map_err(Stop::from)?;
            ledger.print(args.output, "")?;
            return Ok(Some(exit::BAD_INPUT));
        }
    }
    Ok(None)
}

/// Puts the rows behind those that are in the queue already.
pub(super) async fn load(reader: &Reader, queue: &Embedded, run: Run) -> anyhow::Result<()> {
    let (made, trace) = (clock::wall(), trace::of_environment());
    let skip = match run.state {
        RunState::Resuming { rows_done, .. } => rows_done,
        RunState::New => 0,
    };
    // Reading blocks; the queue takes what is read chunk by chunk in a task beside it, so memory stays bounded.
    let (send, mut chunks) = tokio::sync::mpsc::channel::<Vec<EnqueueRow>>(2);
    let store = queue.clone();
    let storing = tokio::spawn(async move {
        while let Some(chunk) = chunks.recv().await {
            store.enqueue(run.id, chunk).await?;
        }
        Ok::<(), BrokerError>(())
    });
    let read = tokio::task::block_in_place(move || {
        let mut row = 0_u64;
        let mut chunk = Vec::with_capacity(CHUNK);
        reader.each::<Stop>(|found| {
            row += 1;
            if row <= skip {
                return Ok(());
            }
            chunk.push(enqueue_row(found, made, trace.as_ref()));
            if chunk.len() >= CHUNK && send.blocking_send(std::mem::take(&mut chunk)).is_err() {
                // The queue has stopped; its own error is the one that is told.
                return Err(Stop::Broker(BrokerError::Storage("the queue takes no more rows".into())));
            }
            Ok(())
        })?;
        // As above.
        let _ = send.blocking_send(chunk);
        Ok::<(), Stop>(())
    });
    storing.await?.map_err(Stop::from)?;
    read?;
    Ok(())
}

/// `made` stands for the time that a job does not give: it must not move when the job is handed out again.
fn enqueue_row(found: Found, made: Timestamp, trace: Option<&Trace>) -> EnqueueRow {
    match found {
        Found::Job { line, mut job, .. } => EnqueueRow::Job {
            line: Some(line),
            lane: job.lane.clone(),
            items: job.resources.len() as u64,
            // A job that was parsed can be written.
            body: {
                job.extras.created_at.get_or_insert(made);
                serde_json::to_vec(&job).unwrap_or_default()
            },
            trace: trace.cloned(),
        },
        Found::Bad(bad) => EnqueueRow::Bad {
            line: Some(bad.line),
            lane: bad.lane,
            code: bad.code.to_owned(),
            message: bad.message,
            source: Some(bad.file),
            body: bad.bytes,
        },
    }
}
