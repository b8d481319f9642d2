//! Runs: a file on its way through the queue, resumable at the row where it stopped.

use super::{
    Embedded, dead,
    fault::{Fault, Res},
    present, tables,
    txn::{Message, Txn},
};
use crate::{
    broker::{BrokerError, DeadEntry, RawDeadLetter},
    job::{LaneName, Trace, stable_hash},
};
use jiff::Timestamp;
use redb::{ReadTransaction, ReadableTable};
use serde::{Deserialize, Serialize};

/// Names a run in this queue; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u64);

/// A run that was begun or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Whether it is new.
    pub state: RunState,
}

/// Whether a run is new or goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Nothing of it was enqueued before.
    New,
    /// An earlier process began it.
    Resuming {
        /// Rows that are in the queue or done already: go on behind them.
        rows_done: u64,
        /// The file was read to its end.
        sealed: bool,
    },
}

/// An unfinished run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its number.
    pub id: RunId,
    /// What it was begun under: the digest of its files.
    pub key: String,
    /// What people call it: the names of its files.
    pub label: String,
    /// When it was begun.
    pub started_at: Timestamp,
    /// Rows enqueued.
    pub rows_done: u64,
    /// The file was read to its end.
    pub sealed: bool,
}

/// One row of a file.
#[derive(Clone, Debug)]
pub enum EnqueueRow {
    /// A job for a lane.
    Job {
        /// The row's line.
        line: Option<u64>,
        /// The job's lane.
        lane: LaneName,
        /// Resources in the job: what it counts for.
        items: u64,
        /// The job message.
        body: Vec<u8>,
        /// The trace it belongs to.
        trace: Option<Trace>,
    },
    /// A row that is no job: one item accepted, one dead.
    Bad {
        /// The row's line.
        line: Option<u64>,
        /// The lane, where it could be read.
        lane: Option<LaneName>,
        /// `invalid`, `unknown_lane`, ...
        code: String,
        /// What is wrong with it.
        message: String,
        /// Where it came from, such as `csv:servers.csv`.
        source: Option<String>,
        /// The row, byte for byte.
        body: Vec<u8>,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    key: String,
    pub(super) label: String,
    pub(super) started_at: Timestamp,
    pub(super) rows_done: u64,
    pub(super) sealed: bool,
}

impl Embedded {
    /// Begins a run, or goes on with the unfinished one of the same key. Its clock runs from here.
    pub async fn begin_run(&self, key: &str, label: &str) -> Result<Run, BrokerError> {
        let (key, label) = (key.to_owned(), label.to_owned());
        self.write(move |txn| begin(txn, &key, label)).await
    }

    /// Puts rows into their lanes, in order, and remembers that the run is that much further: all of it or nothing.
    ///
    /// After an error it is unknown which of the two it was; `begin_run` says at which row to go on.
    pub async fn enqueue(&self, run: RunId, rows: Vec<EnqueueRow>) -> Result<(), BrokerError> {
        let known = self
            .write(move |txn| {
                let Some(mut record) = record(txn, run)? else { return Ok(false) };
                for row in rows {
                    record.rows_done += 1;
                    enqueue(txn, run, &record, row)?;
                }
                save(txn, run, &record)?;
                Ok(true)
            })
            .await?;
        if known { Ok(()) } else { Err(unknown(run)) }
    }

    /// Remembers that the file was read to its end.
    pub async fn seal(&self, run: RunId) -> Result<(), BrokerError> {
        let known = self
            .write(move |txn| {
                let Some(mut record) = record(txn, run)? else { return Ok(false) };
                record.sealed = true;
                save(txn, run, &record)?;
                Ok(true)
            })
            .await?;
        if known { Ok(()) } else { Err(unknown(run)) }
    }

    /// Runs that have not ended, oldest first.
    pub async fn unfinished_runs(&self) -> Result<Vec<RunSummary>, BrokerError> {
        self.read(|read| {
            let Some(runs) = present(read.open_table(tables::RUNS))? else { return Ok(Vec::new()) };
            let rows = runs.iter()?.map(|row| {
                let (run, record) = row?;
                let Record { key, label, started_at, rows_done, sealed } = serde_json::from_slice(record.value())?;
                Ok(RunSummary { id: RunId(run.value()), key, label, started_at, rows_done, sealed })
            });
            rows.collect()
        })
        .await
    }

    /// Ends a run: its sums are forgotten, and its key begins a new one. Read `totals` before.
    ///
    /// False, and nothing changed, while one of its jobs is not acked.
    pub async fn end_run(&self, run: RunId) -> Result<bool, BrokerError> {
        self.write(move |txn| {
            if txn.sums(run.0)?.values().any(|tally| tally.open_jobs > 0) {
                return Ok(false);
            }
            forget(txn, run)?;
            Ok(true)
        })
        .await
    }

    /// Removes a run as if it had never been begun, with its jobs and dead letters: for a file that was refused before
    /// anything of it was sent.
    pub async fn abandon(&self, run: RunId) -> Result<(), BrokerError> {
        self.write(move |txn| {
            let mut tickets = Vec::new();
            for row in txn.pending.extract_if(|_, (of, ..)| of == run.0)? {
                tickets.push(row?.0.value());
            }
            for ticket in tickets {
                txn.take_receipt(ticket)?;
                txn.forget(ticket)?;
            }
            let mut dead_letters = Vec::new();
            for row in txn.dead.iter()? {
                let (key, entry) = row?;
                if serde_json::from_slice::<DeadEntry>(entry.value())?.run == run.0 {
                    dead_letters.push(key.value());
                }
            }
            for key in dead_letters {
                dead::remove(txn, key)?;
            }
            forget(txn, run)
        })
        .await
    }
}

fn begin(txn: &mut Txn<'_>, key: &str, label: String) -> Res<Run> {
    let found = txn.run_keys.get(key)?.map(|run| RunId(run.value()));
    if let Some(id) = found {
        let record = record(txn, id)?.ok_or_else(|| Fault::Record(format!("run {} has no record", id.0)))?;
        let before = txn.run_clocks.get(id.0)?.map_or(0, |millis| millis.value());
        txn.board.clocks().start(id.0, before);
        let state = RunState::Resuming { rows_done: record.rows_done, sealed: record.sealed };
        return Ok(Run { id, state });
    }
    let id = RunId(txn.number("run")?);
    txn.run_keys.insert(key, id.0)?;
    let record = Record { key: key.to_owned(), label, started_at: txn.now, rows_done: 0, sealed: false };
    save(txn, id, &record)?;
    txn.board.clocks().start(id.0, 0);
    Ok(Run { id, state: RunState::New })
}

fn enqueue(txn: &mut Txn<'_>, run: RunId, record: &Record, row: EnqueueRow) -> Res<()> {
    match row {
        EnqueueRow::Job { line, lane, items, body, trace } => {
            let lane = txn.lane(&lane)?;
            txn.publish(lane, run.0, &Message { line, items, body: &body, trace: trace.as_ref() })
        }
        EnqueueRow::Bad { line, lane, code, message, source, body } => {
            let number = match &lane {
                Some(lane) => txn.lane(lane)?,
                None => 0,
            };
            txn.add(run.0, number, |tally| {
                tally.accepted += 1;
                tally.dead += 1;
            })?;
            let id = stable_hash(&["row", &record.key, &record.rows_done.to_string()]);
            let raw = RawDeadLetter { id, lane, code, message, source, line, body };
            let row = super::deeds::Row { run: run.0, items: 1 };
            let from = dead::From { arrival: txn.number("seq")?, row: Some(row) };
            dead::record_raw(txn, from, raw)
        }
    }
}

fn forget(txn: &mut Txn<'_>, run: RunId) -> Res<()> {
    if let Some(record) = record(txn, run)? {
        txn.run_keys.remove(record.key.as_str())?;
    }
    txn.runs.remove(run.0)?;
    txn.board.clocks().stop(run.0);
    txn.run_clocks.remove(run.0)?;
    txn.drop_sums(run.0)
}

fn record(txn: &Txn<'_>, run: RunId) -> Res<Option<Record>> {
    let stored = txn.runs.get(run.0)?;
    Ok(stored.map(|record| serde_json::from_slice(record.value())).transpose()?)
}

fn save(txn: &mut Txn<'_>, run: RunId, record: &Record) -> Res<()> {
    txn.runs.insert(run.0, serde_json::to_vec(record)?.as_slice())?;
    Ok(())
}

/// The record of a run for reading; `None` when it has ended.
pub(super) fn look_up(read: &ReadTransaction, run: RunId) -> Res<Option<Record>> {
    let Some(runs) = present(read.open_table(tables::RUNS))? else { return Ok(None) };
    let stored = ReadableTable::get(&runs, run.0)?;
    Ok(stored.map(|record| serde_json::from_slice(record.value())).transpose()?)
}

pub(super) fn unknown(run: RunId) -> BrokerError {
    BrokerError::Storage(format!("run {} has ended: begin it again", run.0))
}
