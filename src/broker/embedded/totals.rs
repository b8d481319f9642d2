//! What a run has come to, exact after any kill.

use super::{
    Embedded,
    fault::Fault,
    present,
    runs::{self, RunId},
    tables,
    tally::Tally,
};
use crate::{broker::BrokerError, job::LaneName};
use jiff::Timestamp;
use redb::ReadableTable;
use serde::Serialize;
use std::time::Duration;

/// The sums of a run: accepted = tagged + unchanged + dead + pending, in every lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunTotals {
    /// What people call it.
    pub label: String,
    /// When it was begun.
    pub started_at: Timestamp,
    /// How long it has been worked on, earlier processes included.
    pub elapsed: Duration,
    /// Rows enqueued.
    pub rows_done: u64,
    /// The file was read to its end.
    pub sealed: bool,
    /// Lane by lane, by name; bad rows without a lane come first, under none.
    pub lanes: Vec<LaneTotals>,
}

/// The sums of a run in one lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LaneTotals {
    /// The lane; none for rows whose lane could not be read, and for a sum over lanes.
    pub lane: Option<LaneName>,
    /// Items taken on.
    pub accepted: u64,
    /// Items that carry their tags.
    pub tagged: u64,
    /// Of the tagged: items whose value a later job replaced before it was sent.
    pub superseded: u64,
    /// Items that were right already.
    pub unchanged: u64,
    /// Items that became dead letters in this run, replayed since or not.
    pub dead: u64,
    /// Items of jobs that are not finished.
    pub pending: u64,
    /// Jobs that are not finished.
    pub open_jobs: u64,
    /// Every request to a tagging API.
    pub calls: u64,
    /// Of those, answered with a throttle.
    pub throttled: u64,
    /// Of those, sent again after a failure.
    pub retries: u64,
}

impl LaneTotals {
    fn new(lane: Option<LaneName>, tally: Tally) -> Self {
        let pending = tally.pending();
        let Tally { accepted, tagged, superseded, unchanged, dead, open_jobs, calls, throttled, retries } = tally;
        Self { lane, accepted, tagged, superseded, unchanged, dead, pending, open_jobs, calls, throttled, retries }
    }
}

impl RunTotals {
    /// All lanes together.
    pub fn sum(&self) -> LaneTotals {
        self.lanes.iter().fold(LaneTotals::default(), |sum, lane| LaneTotals {
            lane: None,
            accepted: sum.accepted + lane.accepted,
            tagged: sum.tagged + lane.tagged,
            superseded: sum.superseded + lane.superseded,
            unchanged: sum.unchanged + lane.unchanged,
            dead: sum.dead + lane.dead,
            pending: sum.pending + lane.pending,
            open_jobs: sum.open_jobs + lane.open_jobs,
            calls: sum.calls + lane.calls,
            throttled: sum.throttled + lane.throttled,
            retries: sum.retries + lane.retries,
        })
    }
}

impl Embedded {
    /// The sums of a run that has not ended.
    pub async fn totals(&self, run: RunId) -> Result<RunTotals, BrokerError> {
        let running = self.board.clocks().millis(run.0);
        let totals = self
            .read(move |read| {
                let Some(record) = runs::look_up(read, run)? else { return Ok(None) };
                let stored = match present(read.open_table(tables::RUN_CLOCKS))? {
                    Some(clocks) => ReadableTable::get(&clocks, run.0)?.map(|millis| millis.value()),
                    None => None,
                };
                let mut lanes = Vec::new();
                if let Some(tallies) = present(read.open_table(tables::TALLIES))? {
                    let names = present(read.open_table(tables::LANE_NAMES))?;
                    for row in tallies.range((run.0, 0)..=(run.0, u32::MAX))? {
                        let (key, tally) = row?;
                        let lane = key.value().1;
                        let name = match &names {
                            Some(names) => ReadableTable::get(names, lane)?,
                            None => None,
                        };
                        let name = name.map(|name| LaneName::new(name.value())).transpose();
                        let name = name.map_err(|error| Fault::Record(error.to_string()))?;
                        lanes.push(LaneTotals::new(name, tally.value().into()));
                    }
                }
                lanes.sort_by(|a, b| a.lane.cmp(&b.lane));
                Ok(Some(RunTotals {
                    label: record.label,
                    started_at: record.started_at,
                    elapsed: Duration::from_millis(running.or(stored).unwrap_or(0)),
                    rows_done: record.rows_done,
                    sealed: record.sealed,
                    lanes,
                }))
            })
            .await?;
        totals.ok_or_else(|| runs::unknown(run))
    }
}
