//! The tables of the queue file, and what their keys and values mean.

use crate::broker::Ticket;
use redb::TableDefinition;

/// The version of this layout. A file of another version is refused.
pub(super) const FORMAT: u64 = 1;

/// Single numbers: `format`, and the next free `seq`, `run`, `lane` and `receipt`.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Lane name to lane number.
pub(super) const LANES: TableDefinition<&str, u32> = TableDefinition::new("lanes");
/// Lane number to lane name.
pub(super) const LANE_NAMES: TableDefinition<u32, &str> = TableDefinition::new("lane_names");
/// Ticket to (run, line + 1, items, message).
pub(super) const PENDING: TableDefinition<u64, (u64, u64, u64, &[u8])> = TableDefinition::new("pending");
/// Ticket to the trace of a pending message, where it has one.
pub(super) const TRACES: TableDefinition<u64, &[u8]> = TableDefinition::new("traces");
/// (ticket, item) to what became of the item.
pub(super) const MARKS: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("marks");
/// Ticket to the receipt of a job that is not acked yet.
pub(super) const OPEN_RECEIPTS: TableDefinition<u64, &[u8]> = TableDefinition::new("open_receipts");
/// Number to receipt, oldest first, the newest [`RECEIPTS_KEPT`].
pub(super) const RECEIPTS: TableDefinition<u64, &[u8]> = TableDefinition::new("receipts");
/// (arrival of the job, number) to what is worth knowing of a dead letter without its body.
pub(super) const DEAD: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("dead");
/// (arrival of the job, number) to the dead letter itself, or the message that is no job.
pub(super) const DEAD_BODIES: TableDefinition<(u64, u32), &[u8]> = TableDefinition::new("dead_bodies");
/// Id of a dead letter to its key.
pub(super) const DEAD_IDS: TableDefinition<&str, (u64, u32)> = TableDefinition::new("dead_ids");
/// Number of a run to its record.
pub(super) const RUNS: TableDefinition<u64, &[u8]> = TableDefinition::new("runs");
/// Key of an unfinished run to its number.
pub(super) const RUN_KEYS: TableDefinition<&str, u64> = TableDefinition::new("run_keys");
/// Number of a run to the milliseconds it has been worked on.
pub(super) const RUN_CLOCKS: TableDefinition<u64, u64> = TableDefinition::new("run_clocks");
/// (run, lane number or 0) to a [`super::tally::Tally`].
pub(super) const TALLIES: TableDefinition<(u64, u32), [u64; 9]> = TableDefinition::new("tallies");

/// How many receipts are kept.
pub(super) const RECEIPTS_KEPT: u64 = 100_000;

/// Arrival numbers take the low 40 bits of a ticket: a trillion jobs.
const SEQ_BITS: u32 = 40;
/// Above them are 4 bits for a priority level (all zero today: jobs are handed out as they arrived), then the lane.
const LANE_SHIFT: u32 = SEQ_BITS + 4;
/// A lane number that fits: 20 bits.
pub(super) const MAX_LANE: u32 = (1 << 20) - 1;

/// The ticket of one arrival in one lane. Tickets of a lane are neighbours, in the order of arrival.
pub(super) fn ticket(lane: u32, seq: u64) -> u64 {
    u64::from(lane) << LANE_SHIFT | seq
}

/// The lane number of a ticket.
pub(super) fn lane_of(ticket: Ticket) -> u32 {
    (ticket.0 >> LANE_SHIFT) as u32
}

/// The arrival number of a ticket.
pub(super) fn seq_of(ticket: Ticket) -> u64 {
    ticket.0 & ((1 << SEQ_BITS) - 1)
}

/// The first and the last ticket a lane can have.
pub(super) fn lane_range(lane: u32) -> std::ops::RangeInclusive<u64> {
    ticket(lane, 0)..=ticket(lane, (1 << LANE_SHIFT) - 1)
}
