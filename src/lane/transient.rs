//! A failure that may pass: what it costs an item, when the call is halved, and when it is over.

use super::{
    Lane, Now,
    item::Item,
    queue::Unit,
    retry::{self, Series, hint},
};
use crate::{
    call::{Blame, Failure},
    plan::RowId,
};
use std::time::Duration;

/// A call that has failed transiently so often while others succeed is halved.
const TRIES_BEFORE_HALVING: u32 = 3;

impl Lane {
    /// Rows that the provider named as failing for now: each spends an attempt, the rest of them go again together.
    pub(super) fn transient_rows(&mut self, now: Now, unit: &Unit, rows: Vec<(RowId, Failure)>, applied: bool) {
        let since = unit.successes_then.is_some_and(|then| self.health.successes > then);
        let spoken = applied || since || !self.others_could_speak(unit);
        let mut left = Vec::new();
        let mut wait = Duration::ZERO;
        let mut last = None;
        for (row, failure) in rows {
            let most = failure.attempts_at_most.unwrap_or(u32::MAX).min(self.settings.max_attempts);
            let mut spent = self.most_spent(row, unit);
            if spent < most && !failure.too_early {
                spent = self.spend(row, unit, true);
            }
            wait = wait.max(hint(&failure));
            let proven = !failure.too_early && (spoken || failure.blame == Blame::State);
            if (spent >= most && proven) || self.is_out_of_time(now, row, unit) {
                self.reject_row(now, row, unit, &failure);
            } else {
                left.push(row);
                last = Some(failure);
            }
        }
        let Some(failure) = last else { return };
        let mut part = self.part(unit, left, unit.cells.clone());
        part.tries = unit.tries + 1;
        part.note_spent(self.health.streak());
        part.successes_then.get_or_insert(self.health.successes);
        let series = if failure.blame == Blame::State { Series::State } else { Series::Ordinary };
        let wait = wait.max(retry::wait(series, part.tries, &mut self.rng));
        self.retrying(&failure);
        part.failure = Some(failure);
        self.push_back(now, part, wait);
    }

    pub(super) fn failed_transiently(&mut self, now: Now, mut unit: Unit, failure: &Failure) {
        self.retrying(failure);
        let before = std::mem::replace(&mut unit.successes_last, self.health.successes);
        let got_through = unit.successes_then.is_some() && self.health.successes > before;
        let others_succeed = self.health.successes > *unit.successes_then.get_or_insert(self.health.successes);
        let many = unit.rows.len() > 1;
        if failure.blame == Blame::State {
            self.end_outage(now);
        } else if self.health.outage.is_some() || self.note_transient(&unit) {
            self.wait_for_outage(now, unit, failure);
            return;
        }
        if many && (failure.blame == Blame::State || (unit.suspect && others_succeed)) {
            self.halve(now, &unit);
            return;
        }
        let alone = !many && !self.others_could_speak(&unit);
        // What fails on the way to the API is held against a lone item only when something else got through.
        let counts = !failure.too_early && (!is_gateway(failure) || !alone || got_through);
        unit.tries += 1;
        if many {
            if counts && !unit.suspect {
                for row in &unit.rows {
                    self.spend(*row, &unit, false);
                }
                unit.note_spent(self.health.streak());
            }
            let worn = unit.rows.iter().any(|row| self.most_spent(*row, &unit) + 1 >= self.settings.max_attempts);
            if (unit.tries >= TRIES_BEFORE_HALVING || worn) && others_succeed {
                self.halve(now, &unit);
                return;
            }
        } else if let Some(row) = unit.rows.first().copied() {
            let most = failure.attempts_at_most.unwrap_or(u32::MAX).min(self.settings.max_attempts);
            let mut spent = self.most_spent(row, &unit);
            if counts && spent < most {
                spent = self.spend(row, &unit, true);
                unit.note_spent(self.health.streak());
            }
            let proven = others_succeed || alone || failure.blame == Blame::State;
            if (counts && proven && spent >= most) || self.is_out_of_time(now, row, &unit) {
                self.reject_row(now, row, &unit, failure);
                return;
            }
        }
        let series = if failure.blame == Blame::State { Series::State } else { Series::Ordinary };
        let wait = retry::wait(series, unit.tries, &mut self.rng).max(hint(failure));
        self.push_back(now, unit, wait);
    }

    /// Whether work outside this unit is pending that has not been proven bad: its success would be evidence.
    pub(super) fn others_could_speak(&self, unit: &Unit) -> bool {
        self.backlog.table.ready() > 0
            || self.flights.values().any(|flight| flight.unit.missing == 0 && !self.is_accused(&flight.unit))
            || self.queue.iter().any(|other| other.id != unit.id && other.missing == 0 && !self.is_accused(other))
    }

    /// Spends an attempt of every item of the row that the call spoke for; returns the most spent. A row in company
    /// never spends its last one: it dies only alone.
    pub(super) fn spend(&mut self, row: RowId, unit: &Unit, alone: bool) -> u32 {
        let most = if alone { u32::MAX } else { self.settings.max_attempts.saturating_sub(1) };
        let mut spent = 0;
        self.backlog.for_involved(row, &unit.cells, &self.ledger, |item| {
            item.attempts = item.attempts.saturating_add(1).min(most.max(item.attempts));
            spent = spent.max(item.attempts);
        });
        spent
    }

    pub(super) fn most_spent(&self, row: RowId, unit: &Unit) -> u32 {
        self.backlog.involved(row, &unit.cells, &self.ledger).map(|item| item.attempts).max().unwrap_or(0)
    }

    pub(super) fn is_out_of_time(&self, now: Now, row: RowId, unit: &Unit) -> bool {
        let active = self.health.active(now);
        self.backlog.involved(row, &unit.cells, &self.ledger).any(|item| {
            item.first_attempt.is_some_and(|first| active.saturating_sub(first) >= self.settings.give_up_after)
        })
    }

    pub(super) fn has_run_out(&self, now: Now, item: &Item) -> bool {
        let active = self.health.active(now);
        item.first_attempt.is_some_and(|first| active.saturating_sub(first) >= self.settings.give_up_after)
    }
}

/// Failures of the way to the API rather than of the API: they say nothing about an item.
pub(super) fn is_gateway(failure: &Failure) -> bool {
    let code = failure.code.as_str();
    !failure.coded
        && (matches!(code, "connect" | "timeout" | "truncated") || matches!(code, "http_502" | "http_503" | "http_504"))
}
