//! A resource that does not exist, of a job that says it may only be new: it waits, and spends nothing.

use super::{
    Lane, Now,
    queue::Unit,
    retry::{self, Series, hint},
};
use crate::{
    call::{Failure, Missing},
    plan::RowId,
};
use std::time::Duration;

/// What becomes of a row whose resource does not exist.
enum Verdict {
    /// Every item's time is still to come, the first at that moment.
    Wait(Now),
    /// These items' time is over, and the others can wait.
    Bury(Vec<(u32, u32)>),
    /// Nobody's time is left, or it is not clear whose fault it is.
    Reject,
}

impl Lane {
    /// Rows whose resources do not exist: those that may only be new go again together, the rest is final.
    pub(super) fn missing_rows(&mut self, now: Now, unit: &Unit, rows: Vec<(RowId, Failure)>) {
        let mut left = Vec::new();
        let mut split = Vec::new();
        let mut first_end = Now::MAX;
        let mut last = None;
        for (row, failure) in rows {
            match self.judge_missing(now, row, unit, &failure) {
                Verdict::Reject => self.reject_row(now, row, unit, &failure),
                Verdict::Wait(end) => {
                    first_end = first_end.min(end);
                    left.push(row);
                    last = Some(failure);
                }
                Verdict::Bury(over) => {
                    for (job, index) in over {
                        self.bury(now, row, job, index, &failure, true);
                    }
                    self.release(&[row]);
                    split.push(row);
                    last = Some(failure);
                }
            }
        }
        let Some(failure) = last else { return };
        self.retrying(&failure);
        if !left.is_empty() {
            let part = self.part(unit, left, unit.cells.clone());
            self.await_existence(now, part, first_end, &failure);
        }
        for row in split {
            // What is left of the row has other values now.
            let Some(rectangle) = self.backlog.cut_alone(row) else { continue };
            let fresh = self.unit(rectangle);
            let end = self.ends(row, &fresh).filter(|end| *end > now).min().unwrap_or(Now::MAX);
            self.await_existence(now, Unit { suspect: true, missing: unit.missing, ..fresh }, end, &failure);
        }
    }

    fn judge_missing(&self, now: Now, row: RowId, unit: &Unit, failure: &Failure) -> Verdict {
        if self.is_out_of_time(now, row, unit) {
            return Verdict::Reject;
        }
        let over: Vec<(u32, u32)> = self
            .backlog
            .involved(row, &unit.cells, &self.ledger)
            .filter(|item| self.end_of(item.job) <= now)
            .map(|item| (item.job, item.index))
            .collect();
        match self.ends(row, unit).filter(|end| *end > now).min() {
            None => Verdict::Reject,
            Some(end) if over.is_empty() => Verdict::Wait(end),
            // The code may mean something that one of the jobs asks for: then each goes alone first.
            Some(_) if failure.missing == Missing::Perhaps => Verdict::Reject,
            Some(_) => Verdict::Bury(over),
        }
    }

    /// When the times of the row's items are over.
    fn ends<'a>(&'a self, row: RowId, unit: &'a Unit) -> impl Iterator<Item = Now> + 'a {
        self.backlog.involved(row, &unit.cells, &self.ledger).map(|item| self.end_of(item.job))
    }

    /// Until when a resource of this job may not exist yet.
    fn end_of(&self, job: u32) -> Now {
        self.ledger.get(job).and_then(|record| record.not_found_until(&self.settings)).unwrap_or_default()
    }

    /// The call goes again after a growing wait, and once more when the first time of its items is over.
    fn await_existence(&mut self, now: Now, mut unit: Unit, end: Now, failure: &Failure) {
        unit.missing = unit.missing.saturating_add(1);
        unit.tries = 0;
        let wait = retry::wait(Series::Missing, unit.missing, &mut self.rng).max(hint(failure));
        let wait = wait.min(end.saturating_sub(now)).max(Duration::from_millis(1));
        unit.failure = Some(failure.clone());
        self.push_back(now, unit, wait);
    }
}
