//! Pending jobs taken back by an operator: they become dead letters, so nothing is lost and all of it can be replayed.

use super::{
    Embedded, dead,
    deeds::{self, Row},
    fault::Res,
    marks, present,
    runs::RunId,
    tables::{self, lane_of, seq_of},
    txn::Txn,
};
use crate::{
    broker::{BrokerError, Mark, RawDeadLetter, Ticket},
    job::{ItemFailure, Job, JobId, LaneName, Receipt, VERSION, dead_letters, stable_hash, stable_id},
};
use redb::{ReadTransaction, ReadableTable};
use std::collections::BTreeMap;

/// Jobs that share one transaction.
const CHUNK: usize = 500;
/// The code of a cancelled item.
const CODE: &str = "cancelled";

/// Reads a message as a job; `None` when it is none.
pub type ReadJob = fn(&[u8]) -> Option<Job>;

/// Which pending jobs. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct CancelFilter {
    /// Of this lane.
    pub lane: Option<LaneName>,
    /// With this id.
    pub job: Option<JobId>,
    /// Of this run.
    pub run: Option<RunId>,
}

/// What was cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Jobs that ended.
    pub jobs: u64,
    /// Items that were cancelled; those that were final before keep their fate.
    pub items: u64,
}

impl Embedded {
    /// Ends pending jobs: items without a mark become dead letters with the code `cancelled`, items with a mark keep
    /// what they came to, and receipts and sums say so. What a worker reports of these jobs later is ignored.
    pub async fn cancel(&self, filter: CancelFilter, read_job: ReadJob) -> Result<Cancelled, BrokerError> {
        let mut done = Cancelled::default();
        let mut after = 0;
        loop {
            let seen = filter.clone();
            let chunk = self.read(move |read| page(read, &seen, after)).await?;
            let Some(last) = chunk.last().copied() else { return Ok(done) };
            after = last;
            let filter = filter.clone();
            let step = self
                .write(move |txn| {
                    let mut step = Cancelled::default();
                    for ticket in chunk {
                        cancel(txn, Ticket(ticket), filter.job.as_ref(), read_job, &mut step)?;
                    }
                    Ok(step)
                })
                .await?;
            done.jobs += step.jobs;
            done.items += step.items;
        }
    }
}

/// The next tickets that lane and run let through.
fn page(read: &ReadTransaction, filter: &CancelFilter, after: u64) -> Res<Vec<u64>> {
    let Some(pending) = present(read.open_table(tables::PENDING))? else { return Ok(Vec::new()) };
    let mut range = after + 1..=u64::MAX;
    if let Some(lane) = &filter.lane {
        let Some(lane) = super::lane_number(read, lane)? else { return Ok(Vec::new()) };
        let lane = tables::lane_range(lane);
        range = (after + 1).max(*lane.start())..=*lane.end();
    }
    let mut found = Vec::new();
    for row in pending.range(range)? {
        let (ticket, row) = row?;
        if filter.run.is_none_or(|run| run.0 == row.value().0) {
            found.push(ticket.value());
        }
        if found.len() >= CHUNK {
            break;
        }
    }
    Ok(found)
}

fn cancel(txn: &mut Txn<'_>, ticket: Ticket, only: Option<&JobId>, read_job: ReadJob, done: &mut Cancelled) -> Res<()> {
    let Some(row) = deeds::row(txn, ticket)? else { return Ok(()) };
    let line = txn.pending.get(ticket.0)?.and_then(|row| row.value().1.checked_sub(1));
    let body = txn.pending.get(ticket.0)?.map(|row| row.value().3.to_vec()).unwrap_or_default();
    let job = read_job(&body);
    if only.is_some_and(|only| job.as_ref().map(|job| &job.id) != Some(only)) {
        return Ok(());
    }
    if let Some(receipt) = txn.take_receipt(ticket.0)? {
        // Everything about this job is recorded and only its ack is missing: it is done, not cancelled.
        return deeds::settle(txn, ticket, row, Some(&receipt));
    }
    done.jobs += 1;
    match job {
        Some(job) => end_job(txn, ticket, row, job, line, done),
        None => end_raw(txn, ticket, row, body, line, done),
    }
}

fn end_job(
    txn: &mut Txn<'_>,
    ticket: Ticket,
    row: Row,
    mut job: Job,
    line: Option<u64>,
    done: &mut Cancelled,
) -> Res<()> {
    let mut marked: BTreeMap<u32, Mark> = marks::of(&txn.marks, ticket.0)?.into_iter().collect();
    let (mut tagged, mut superseded, mut unchanged) = (0, 0, 0);
    let mut failures = Vec::new();
    let accepted = job.resources.len() as u64;
    for (item, resource) in (0_u32..).zip(std::mem::take(&mut job.resources)) {
        let failure = match marked.remove(&item) {
            Some(Mark::Tagged { superseded: replaced }) => {
                tagged += 1;
                superseded += u64::from(replaced);
                continue;
            }
            Some(Mark::Unchanged) => {
                unchanged += 1;
                continue;
            }
            Some(Mark::Dead(failure)) => failure,
            None => {
                done.items += 1;
                cancelled(resource, line)
            }
        };
        failures.push(failure);
    }
    let dead = failures.len() as u64;
    let trace = txn.trace(ticket.0)?;
    job.extras.trace.clone_from(&trace);
    let receipt = Receipt {
        version: VERSION,
        id: stable_id(&job, "receipt"),
        job: job.id.clone(),
        lane: job.lane.clone(),
        batch: job.extras.batch.as_deref().map(str::to_owned),
        accepted,
        tagged,
        superseded,
        unchanged,
        dead,
        calls: 0,
        retries: 0,
        first_attempt: None,
        last_attempt: None,
        finished_at: txn.now,
        duration_ms: 0,
        trace: trace.as_ref().map(|trace| trace.parent().to_owned()),
    };
    for letter in dead_letters(job, failures) {
        dead::record(txn, dead::From { arrival: seq_of(ticket), row: Some(row) }, letter)?;
    }
    deeds::settle(txn, ticket, row, Some(&receipt))
}

fn end_raw(
    txn: &mut Txn<'_>,
    ticket: Ticket,
    row: Row,
    body: Vec<u8>,
    line: Option<u64>,
    done: &mut Cancelled,
) -> Res<()> {
    done.items += row.items;
    let raw = RawDeadLetter {
        id: stable_hash(&[CODE, &ticket.0.to_string()]),
        lane: Some(txn.lane_name(lane_of(ticket))?),
        code: CODE.into(),
        message: "cancelled by an operator; the message is no job".into(),
        source: None,
        line,
        body,
    };
    dead::record_raw(txn, dead::From { arrival: seq_of(ticket), row: Some(row) }, raw)?;
    deeds::settle(txn, ticket, row, None)
}

fn cancelled(resource: crate::job::Resource, line: Option<u64>) -> ItemFailure {
    ItemFailure {
        resource,
        code: CODE.into(),
        message: "cancelled by an operator before it was sent".into(),
        request_id: None,
        attempts: 0,
        applied_keys: Vec::new(),
        line,
    }
}
