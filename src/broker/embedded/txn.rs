//! One write transaction: its tables, and the numbers it adds up before they are written.

use super::{
    board::Board,
    fault::{Fault, Res},
    tables::{self, MAX_LANE},
    tally::Tally,
};
use crate::{
    job::{LaneName, Receipt, Trace},
    worker::clock,
};
use jiff::Timestamp;
use redb::{ReadableTable, Table, WriteTransaction};
use std::collections::{BTreeMap, HashMap};

/// All tables, open for writing. Nothing is durable before the transaction is committed.
pub(super) struct Txn<'t> {
    meta: Table<'t, &'static str, u64>,
    lanes: Table<'t, &'static str, u32>,
    lane_names: Table<'t, u32, &'static str>,
    pub(super) pending: Table<'t, u64, (u64, u64, u64, &'static [u8])>,
    traces: Table<'t, u64, &'static [u8]>,
    pub(super) marks: Table<'t, (u64, u32), &'static [u8]>,
    open_receipts: Table<'t, u64, &'static [u8]>,
    receipts: Table<'t, u64, &'static [u8]>,
    pub(super) dead: Table<'t, (u64, u32), &'static [u8]>,
    pub(super) dead_bodies: Table<'t, (u64, u32), &'static [u8]>,
    pub(super) dead_ids: Table<'t, &'static str, (u64, u32)>,
    pub(super) runs: Table<'t, u64, &'static [u8]>,
    pub(super) run_keys: Table<'t, &'static str, u64>,
    pub(super) run_clocks: Table<'t, u64, u64>,
    pub(super) tallies: Table<'t, (u64, u32), [u64; 9]>,
    /// Numbers given out in this transaction.
    counters: BTreeMap<&'static str, u64>,
    /// Sums changed in this transaction: a hundred acks of one lane are one write.
    sums: BTreeMap<(u64, u32), Tally>,
    /// Receipts that came in this transaction; most are acked in it too and never touch the table of open ones.
    fresh_receipts: BTreeMap<u64, Receipt>,
    known_lanes: HashMap<LaneName, u32>,
    /// The newest ticket published per lane.
    pub(super) published: BTreeMap<u32, u64>,
    /// What this process remembers beside the file.
    pub(super) board: &'t Board,
    /// When the transaction began.
    pub(super) now: Timestamp,
}

/// A message that is new to its lane.
#[derive(Clone, Copy)]
pub(super) struct Message<'m> {
    /// The line of the file it came from.
    pub(super) line: Option<u64>,
    /// What it counts for.
    pub(super) items: u64,
    pub(super) body: &'m [u8],
    pub(super) trace: Option<&'m Trace>,
}

/// The trace of a message, read as the file has it at some time.
pub(super) fn trace_of(traces: &impl ReadableTable<u64, &'static [u8]>, ticket: u64) -> Res<Option<Trace>> {
    let stored = traces.get(ticket)?;
    Ok(stored.map(|trace| serde_json::from_slice(trace.value())).transpose()?)
}

impl<'t> Txn<'t> {
    pub(super) fn open(write: &'t WriteTransaction, board: &'t Board) -> Res<Self> {
        Ok(Self {
            meta: write.open_table(tables::META)?,
            lanes: write.open_table(tables::LANES)?,
            lane_names: write.open_table(tables::LANE_NAMES)?,
            pending: write.open_table(tables::PENDING)?,
            traces: write.open_table(tables::TRACES)?,
            marks: write.open_table(tables::MARKS)?,
            open_receipts: write.open_table(tables::OPEN_RECEIPTS)?,
            receipts: write.open_table(tables::RECEIPTS)?,
            dead: write.open_table(tables::DEAD)?,
            dead_bodies: write.open_table(tables::DEAD_BODIES)?,
            dead_ids: write.open_table(tables::DEAD_IDS)?,
            runs: write.open_table(tables::RUNS)?,
            run_keys: write.open_table(tables::RUN_KEYS)?,
            run_clocks: write.open_table(tables::RUN_CLOCKS)?,
            tallies: write.open_table(tables::TALLIES)?,
            counters: BTreeMap::new(),
            sums: BTreeMap::new(),
            fresh_receipts: BTreeMap::new(),
            known_lanes: HashMap::new(),
            published: BTreeMap::new(),
            board,
            now: clock::wall(),
        })
    }

    /// Writes what was added up. The last step before the commit.
    pub(super) fn finish(mut self) -> Res<BTreeMap<u32, u64>> {
        for (name, next) in &self.counters {
            self.meta.insert(*name, *next)?;
        }
        for (key, tally) in &self.sums {
            self.tallies.insert(*key, <[u64; 9]>::from(*tally))?;
        }
        for (ticket, receipt) in &self.fresh_receipts {
            self.open_receipts.insert(*ticket, serde_json::to_vec(receipt)?.as_slice())?;
        }
        self.board.clocks().save(&mut self.run_clocks)?;
        Ok(self.published)
    }

    /// The next number of a series; the first is 1.
    pub(super) fn number(&mut self, series: &'static str) -> Res<u64> {
        let number = match self.counters.get(series) {
            Some(next) => *next,
            None => self.meta.get(series)?.map_or(1, |next| next.value()),
        };
        self.counters.insert(series, number + 1);
        Ok(number)
    }

    /// The number of a lane; a new lane gets one.
    pub(super) fn lane(&mut self, name: &LaneName) -> Res<u32> {
        if let Some(lane) = self.known_lanes.get(name) {
            return Ok(*lane);
        }
        let stored = self.lanes.get(name.as_str())?.map(|lane| lane.value());
        let lane = if let Some(lane) = stored {
            lane
        } else {
            let lane = u32::try_from(self.number("lane")?).unwrap_or(u32::MAX);
            if lane > MAX_LANE {
                return Err(Fault::Record(format!("more than {MAX_LANE} lanes")));
            }
            self.lanes.insert(name.as_str(), lane)?;
            self.lane_names.insert(lane, name.as_str())?;
            lane
        };
        self.known_lanes.insert(name.clone(), lane);
        Ok(lane)
    }

    /// The name of a lane by its number.
    pub(super) fn lane_name(&self, lane: u32) -> Res<LaneName> {
        let name = self.lane_names.get(lane)?;
        let name = name.ok_or_else(|| Fault::Record(format!("lane {lane} has no name")))?;
        LaneName::new(name.value()).map_err(|error| Fault::Record(error.to_string()))
    }

    /// Appends a message to a lane and counts its items in its run (run 0 is none).
    pub(super) fn publish(&mut self, lane: u32, run: u64, message: &Message<'_>) -> Res<()> {
        let Message { line, items, body, trace } = *message;
        let ticket = tables::ticket(lane, self.number("seq")?);
        self.pending.insert(ticket, (run, line.map_or(0, |line| line + 1), items, body))?;
        if let Some(trace) = trace {
            self.traces.insert(ticket, serde_json::to_vec(trace)?.as_slice())?;
        }
        self.published.insert(lane, ticket);
        self.add(run, lane, |tally| {
            tally.accepted += items;
            tally.open_jobs += 1;
        })
    }

    /// The trace of a pending message.
    pub(super) fn trace(&self, ticket: u64) -> Res<Option<Trace>> {
        trace_of(&self.traces, ticket)
    }

    /// Changes the sums of one run in one lane. Work outside a run is not added up.
    pub(super) fn add(&mut self, run: u64, lane: u32, change: impl FnOnce(&mut Tally)) -> Res<()> {
        if run == 0 {
            return Ok(());
        }
        let mut tally = match self.sums.get(&(run, lane)) {
            Some(tally) => *tally,
            None => self.tallies.get((run, lane))?.map(|sums| sums.value().into()).unwrap_or_default(),
        };
        change(&mut tally);
        self.sums.insert((run, lane), tally);
        Ok(())
    }

    /// Forgets the sums of a run.
    pub(super) fn drop_sums(&mut self, run: u64) -> Res<()> {
        self.sums.retain(|(of, _), _| *of != run);
        self.tallies.retain_in((run, 0)..=(run, u32::MAX), |_, _| false)?;
        Ok(())
    }

    /// Sums of a run, lane by lane, with what this transaction changed.
    pub(super) fn sums(&self, run: u64) -> Res<BTreeMap<u32, Tally>> {
        let mut sums = BTreeMap::new();
        for row in self.tallies.range((run, 0)..=(run, u32::MAX))? {
            let (key, tally) = row?;
            sums.insert(key.value().1, tally.value().into());
        }
        sums.extend(self.sums.range((run, 0)..=(run, u32::MAX)).map(|((_, lane), tally)| (*lane, *tally)));
        Ok(sums)
    }

    /// Keeps the receipt of a job until its ack; a repeat takes the place of the one before.
    pub(super) fn hold_receipt(&mut self, ticket: u64, receipt: Receipt) {
        self.fresh_receipts.insert(ticket, receipt);
    }

    /// Takes the receipt of a job that is being acked.
    pub(super) fn take_receipt(&mut self, ticket: u64) -> Res<Option<Receipt>> {
        let stored = match self.open_receipts.remove(ticket)? {
            Some(stored) => Some(serde_json::from_slice(stored.value())?),
            None => None,
        };
        Ok(self.fresh_receipts.remove(&ticket).or(stored))
    }

    /// Stores a receipt for good, and lets go of the oldest when there are too many.
    pub(super) fn file_receipt(&mut self, receipt: &Receipt) -> Res<()> {
        let number = self.number("receipt")?;
        self.receipts.insert(number, serde_json::to_vec(receipt)?.as_slice())?;
        if let Some(old) = number.checked_sub(tables::RECEIPTS_KEPT) {
            self.receipts.remove(old)?;
        }
        Ok(())
    }

    /// Removes a message that is done, and its marks.
    pub(super) fn forget(&mut self, ticket: u64) -> Res<()> {
        self.pending.remove(ticket)?;
        self.traces.remove(ticket)?;
        // Most jobs have no marks, and a look into an empty table costs nothing.
        if self.marks.range((ticket, 0)..=(ticket, u32::MAX))?.next().is_some() {
            self.marks.retain_in((ticket, 0)..=(ticket, u32::MAX), |_, _| false)?;
        }
        Ok(())
    }
}
