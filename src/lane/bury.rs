//! The end of an item that failed or was cancelled.

use super::{Action, Cause, Dead, Lane, Note, Now};
use crate::{
    call::{Blame, Failure, Kind},
    job::{ItemFailure, Mark},
    plan::RowId,
};
use rustc_hash::FxHashSet;

/// A row with cancelled items: whether it is on its way or waits, and the items.
type CancelledRow = (RowId, bool, Vec<(u32, u32)>);

impl Lane {
    /// An item is dead.
    pub(super) fn bury(&mut self, now: Now, row: RowId, job: u32, index: u32, failure: &Failure, sent: bool) {
        let Some(resource) = self.backlog.resource(row).cloned() else { return };
        let Some(item) = self.backlog.take_item(row, job, index, &self.ledger) else { return };
        let applied_keys = self.backlog.applied_keys(&item, &self.ledger);
        let out_of_time = sent && self.has_run_out(now, &item);
        let message = if out_of_time && failure.kind == Kind::Transient && item.attempts < self.settings.max_attempts {
            format!("gave up after {:?}: {}", self.settings.give_up_after, failure.message)
        } else {
            failure.message.clone()
        };
        let last = u32::from(sent && matches!(failure.kind, Kind::Denied | Kind::Rejected));
        let dead = ItemFailure {
            resource,
            code: failure.code.clone(),
            message,
            request_id: failure.request_id.clone(),
            attempts: item.attempts + last,
            applied_keys,
            line: self.ledger.line(job),
        };
        self.counts.buried(if sent { Cause::of(failure) } else { Cause::Cancelled });
        if let Some((id, trace)) = self.ledger.name(job) {
            let dead = Dead { job: id.clone(), trace: trace.cloned(), failure: dead.clone() };
            self.actions.push_back(Action::Note(Note::Dead(dead)));
        }
        self.conclude((job, index), Mark::Dead(dead), false);
    }

    /// Buries cancelled items that are not on their way, in failed calls too.
    pub(super) fn cancel_waiting(&mut self, now: Now) {
        let mut dead: Vec<CancelledRow> = Vec::new();
        for (row, busy, items) in self.backlog.sweep() {
            let items: Vec<(u32, u32)> =
                items.filter(|item| self.ledger.is_cancelled(item.job)).map(|item| (item.job, item.index)).collect();
            if !items.is_empty() {
                dead.push((row, busy, items));
            }
        }
        let flying: FxHashSet<RowId> = self
            .flights
            .values()
            .flat_map(|flight| flight.unit.rows.iter().chain(flight.origin.iter().flat_map(|unit| &unit.rows)))
            .copied()
            .collect();
        self.cancelled = false;
        let failure = Failure::new(Kind::Rejected, Blame::Request, "cancelled", "cancelled before it was sent");
        for (row, busy, items) in dead {
            if flying.contains(&row) {
                // Its answer comes first; then it is looked at again.
                self.cancelled = true;
                continue;
            }
            if busy {
                self.leave_unit(row);
            }
            for (job, index) in items {
                self.bury(now, row, job, index, &failure, false);
            }
            let finished = self.backlog.free(row, &self.ledger);
            self.finish(finished);
        }
    }

    /// Takes a row out of whatever failed call it waits in.
    pub(super) fn leave_unit(&mut self, row: RowId) {
        let found = self.queue.iter().find(|unit| unit.rows.contains(&row)).map(|unit| unit.id);
        if let Some((mut unit, at)) = found.and_then(|id| self.queue.take_with_time(id)) {
            unit.rows.retain(|other| *other != row);
            if !unit.rows.is_empty() {
                self.queue.push(unit, at);
                self.queue.wake(self.now);
            }
        }
        for held in &mut self.health.held {
            if let Some(at) = held.unit.rows.iter().position(|other| *other == row) {
                held.unit.rows.remove(at);
                held.failures.remove(at);
            }
        }
        self.health.held.retain(|held| !held.unit.rows.is_empty());
    }
}
