//! A refused call is taken apart, by resource, by key, then by job, until the culprit stands alone. Denials wait for
//! evidence that not everything is denied.

use super::{Lane, Now, health::Held, queue::Unit};
use crate::{
    call::{Blame, Failure, Kind, Missing},
    plan::{Cell, RowId},
};
use std::time::Duration;

impl Lane {
    pub(super) fn denied(&mut self, now: Now, unit: Unit, failure: Failure) {
        self.end_outage(now);
        if unit.rows.len() == 1 {
            self.hold(now, unit, vec![failure]);
        } else if self.health.denied(now, unit.suspect) {
            self.push_back(now, unit, Duration::ZERO);
            self.pause_refused(&failure);
        } else {
            self.retrying(&failure);
            self.halve(now, &unit);
        }
    }

    /// A verdict of denial waits until it is known that not everything is denied.
    pub(super) fn hold(&mut self, now: Now, unit: Unit, failures: Vec<Failure>) {
        let Some(first) = failures.first().cloned() else { return };
        for row in &unit.rows {
            self.backlog.park(*row);
        }
        if self.health.denied(now, unit.suspect) {
            self.push_back(now, unit, Duration::ZERO);
            self.pause_refused(&first);
        } else {
            self.health.held.push(Held { unit: Unit { again: true, ..unit }, failures, since: now });
        }
    }

    pub(super) fn pause_refused(&mut self, failure: &Failure) {
        let advice = match failure.kind {
            Kind::Denied => "grant the permission",
            _ => "correct the lane's provider, region or endpoint",
        };
        let (code, message) = (&failure.code, &failure.message);
        let denials = self.health.denials();
        let why = format!("{denials} calls in a row were refused ({code}: {message}); {advice}, then resume");
        self.pause(why, failure.request_id.clone());
    }

    /// Something else was applied: what was denied is denied for itself.
    pub(super) fn condemn_held(&mut self, now: Now, departed: Now) {
        let (spoken, waiting) =
            std::mem::take(&mut self.health.held).into_iter().partition(|held: &Held| held.since <= departed);
        self.health.held = waiting;
        for held in Vec::<Held>::from_iter(spoken) {
            for (row, failure) in held.unit.rows.iter().zip(&held.failures) {
                self.reject_row(now, *row, &held.unit, failure);
            }
        }
    }

    pub(super) fn rejected(&mut self, now: Now, unit: &Unit, failure: &Failure) {
        self.end_outage(now);
        if failure.blame == Blame::Tag {
            if unit.cells.len() > 1 {
                self.retrying(failure);
                self.split_keys(now, unit);
            } else {
                for row in unit.rows.clone() {
                    self.reject_provider(now, row, unit, failure);
                }
            }
        } else if unit.rows.len() > 1 {
            self.retrying(failure);
            self.halve(now, unit);
        } else if let Some(row) = unit.rows.first().copied() {
            if failure.missing == Missing::No {
                self.reject_row(now, row, unit, failure);
            } else {
                self.missing_rows(now, unit, vec![(row, failure.clone())]);
            }
        }
    }

    /// Two calls of half the resources each. Suspects: they never meet other work.
    pub(super) fn halve(&mut self, now: Now, unit: &Unit) {
        let middle = unit.rows.len().div_ceil(2);
        let (left, right) = unit.rows.split_at(middle);
        let mut first = self.part(unit, left.to_vec(), unit.cells.clone());
        let mut second = self.part(unit, right.to_vec(), unit.cells.clone());
        (first.sibling, second.sibling) = (Some(second.id), Some(first.id));
        for mut half in [first, second] {
            (half.suspect, half.tries) = (true, 0);
            self.push_back(now, half, Duration::ZERO);
        }
    }

    /// A call of half the keys. The other half stays with the rows and goes once this one is settled.
    pub(super) fn split_keys(&mut self, now: Now, unit: &Unit) {
        let half = unit.cells.get(..unit.cells.len().div_ceil(2)).unwrap_or_default().to_vec();
        let mut part = self.part(unit, unit.rows.clone(), half);
        (part.suspect, part.tries) = (true, 0);
        self.push_back(now, part, Duration::ZERO);
    }

    /// A part of a unit under a new id.
    pub(super) fn part(&mut self, unit: &Unit, rows: Vec<RowId>, cells: Vec<Cell>) -> Unit {
        Unit { id: self.queue.id(), rows, cells, again: true, sibling: None, ..unit.clone() }
    }

    /// The unit goes again, as it is, after `wait`.
    pub(super) fn push_back(&mut self, now: Now, mut unit: Unit, wait: Duration) {
        unit.again = true;
        for row in &unit.rows {
            self.backlog.park(*row);
        }
        if !unit.rows.is_empty() {
            self.queue.push(unit, now + wait);
            self.queue.wake(now);
        }
    }

    /// The row alone was rejected: its one item is dead, or its items go one by one from now on.
    pub(super) fn reject_row(&mut self, now: Now, row: RowId, unit: &Unit, failure: &Failure) {
        let involved: Vec<(u32, u32)> =
            self.backlog.involved(row, &unit.cells, &self.ledger).map(|item| (item.job, item.index)).collect();
        match involved.as_slice() {
            [(job, index)] => self.bury(now, row, *job, *index, failure, true),
            [] => {}
            // Each goes alone from now on, see `release`.
            _ => {
                self.retrying(failure);
                self.backlog.take_apart(row);
            }
        }
        self.release(&[row]);
    }

    /// The value of one key was rejected: the item it came from is dead, an earlier value takes its place.
    pub(super) fn reject_provider(&mut self, now: Now, row: RowId, unit: &Unit, failure: &Failure) {
        let culprit = self.backlog.involved(row, &unit.cells, &self.ledger).last().map(|item| (item.job, item.index));
        if let Some((job, index)) = culprit {
            self.bury(now, row, job, index, failure, true);
        }
        self.release(&[row]);
    }
}
