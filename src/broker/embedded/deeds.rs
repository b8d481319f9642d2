//! What each deed does to the tables.

use super::{
    dead,
    fault::Res,
    marks,
    tables::{lane_of, lane_range, seq_of},
    txn::Txn,
};
use crate::{
    broker::{CallCounts, Deed, Ticket},
    job::{LaneName, Receipt},
};
use redb::ReadableTable;
use std::sync::atomic::Ordering;

/// A pending message without its body.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) run: u64,
    pub(super) items: u64,
}

/// The pending message of a ticket; `None` when it is settled.
pub(super) fn row(txn: &Txn<'_>, ticket: Ticket) -> Res<Option<Row>> {
    Ok(txn.pending.get(ticket.0)?.map(|row| {
        let (run, _, items, _) = row.value();
        Row { run, items }
    }))
}

/// Records one deed. What is said of a message that is settled already (acked or cancelled) changes nothing, except
/// that a dead letter nobody has seen is always kept.
pub(super) fn apply(txn: &mut Txn<'_>, deed: Deed) -> Res<()> {
    match deed {
        Deed::DeadLetter(ticket, letter) => {
            let from = dead::From { arrival: seq_of(ticket), row: row(txn, ticket)? };
            dead::record(txn, from, letter)
        }
        Deed::RawDeadLetter(ticket, raw) => {
            let from = dead::From { arrival: seq_of(ticket), row: row(txn, ticket)? };
            dead::record_raw(txn, from, raw)
        }
        Deed::Receipt(ticket, receipt) => {
            if row(txn, ticket)?.is_some() {
                txn.hold_receipt(ticket.0, receipt);
            }
            Ok(())
        }
        Deed::Mark(ticket, final_items) => {
            if row(txn, ticket)?.is_some() {
                for (item, mark) in &final_items {
                    txn.marks.insert((ticket.0, *item), marks::encode(mark)?.as_slice())?;
                }
            }
            Ok(())
        }
        Deed::Count(lane, counts) => count(txn, &lane, counts),
        Deed::Ack(ticket) => {
            let Some(row) = row(txn, ticket)? else { return Ok(()) };
            let receipt = txn.take_receipt(ticket.0)?;
            settle(txn, ticket, row, receipt.as_ref())
        }
    }
}

/// Ends a message: its receipt is filed and added up, once, and the message is gone.
pub(super) fn settle(txn: &mut Txn<'_>, ticket: Ticket, row: Row, receipt: Option<&Receipt>) -> Res<()> {
    let lane = lane_of(ticket);
    // A message that is no job has a raw dead letter in the place of a receipt.
    let unreadable = receipt.is_none() && dead::has_raw(txn, seq_of(ticket))?;
    txn.add(row.run, lane, |tally| {
        tally.open_jobs = tally.open_jobs.saturating_sub(1);
        if let Some(receipt) = receipt {
            tally.accepted = (tally.accepted + receipt.accepted).saturating_sub(row.items);
            tally.tagged += receipt.tagged;
            tally.superseded += receipt.superseded;
            tally.unchanged += receipt.unchanged;
            tally.dead += receipt.dead;
        } else if unreadable {
            tally.dead += row.items;
        }
    })?;
    if let Some(receipt) = receipt {
        txn.file_receipt(receipt)?;
    }
    txn.board.spot(lane).last_run.store(row.run, Ordering::Relaxed);
    txn.forget(ticket.0)
}

/// Counts calls in the run of the lane's oldest message: the next call always carries that one.
fn count(txn: &mut Txn<'_>, lane: &LaneName, counts: CallCounts) -> Res<()> {
    let lane = txn.lane(lane)?;
    let oldest = txn.pending.range(lane_range(lane))?.next().transpose()?.map(|(_, row)| row.value().0);
    let run = oldest.unwrap_or_else(|| txn.board.spot(lane).last_run.load(Ordering::Relaxed));
    // The run may have ended since.
    if txn.runs.get(run)?.is_none() {
        return Ok(());
    }
    txn.add(run, lane, |tally| {
        tally.calls += counts.calls;
        tally.throttled += counts.throttled;
        tally.retries += counts.retries;
    })
}
