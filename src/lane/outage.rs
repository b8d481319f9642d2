//! An API that answers nothing but transient failures: how that is noticed, probed, and how it ends.

use super::{
    Action, Flight, Lane, Note, Now,
    health::PATIENCE,
    queue::Unit,
    retry::{self, Series, hint},
    transient::is_gateway,
};
use crate::call::{Answer, Blame, Failure, Fate, Kind};
use std::time::Duration;

impl Lane {
    pub(super) fn judge_probe(&mut self, now: Now, mut flight: Flight, answer: Answer) {
        let transient = match &answer {
            Answer::Failure(failure) => Some(failure),
            Answer::Finished(fates) => match fates.first() {
                Some(Fate::Failed(failure)) => Some(failure),
                _ => None,
            },
            Answer::FollowUp(_) => None,
        }
        .filter(|failure| failure.kind == Kind::Transient && failure.blame != Blame::State)
        .cloned();
        if let (Some(failure), Some(outage)) = (transient, &mut self.health.outage) {
            outage.probes += 1;
            let wait = retry::wait(Series::Probe, outage.probes + 1, &mut self.rng);
            outage.next_at = now + wait.max(hint(&failure));
            if !self.give_up_probe(now, &mut flight, &failure) {
                self.restore_probe(now, flight.unit, flight.origin, false);
            }
            return;
        }
        // Whatever else it says, somebody answered.
        self.end_outage(now);
        if let Some(origin) = flight.origin.take()
            && !origin.rows.is_empty()
        {
            self.queue.push(origin, now);
        }
        flight.probe = false;
        self.judge(now, flight, answer);
    }

    /// A resource that answers probe after probe with the provider's own 500 for an hour is not an outage's victim.
    pub(super) fn give_up_probe(&mut self, now: Now, flight: &mut Flight, failure: &Failure) -> bool {
        if is_gateway(failure) {
            return false;
        }
        let Some(row) = flight.unit.rows.first().copied() else { return false };
        let (probes, since) = self.probed.entry(row).or_insert((0, now));
        *probes += 1;
        if *probes < self.settings.max_attempts || now.saturating_sub(*since) < PATIENCE {
            return false;
        }
        self.probed.remove(&row);
        let most = self.settings.max_attempts;
        if let Some(origin) = flight.origin.take().filter(|origin| !origin.rows.is_empty()) {
            self.queue.push(origin, now);
        }
        let unit = flight.unit.clone();
        self.backlog.for_involved(row, &unit.cells, &self.ledger, |item| item.attempts = most);
        self.reject_row(now, row, &unit, failure);
        true
    }

    pub(super) fn end_outage(&mut self, now: Now) {
        self.health.alive();
        if self.health.outage.take().is_some() {
            self.probed.clear();
            self.actions.push_back(Action::Note(Note::OutageEnded));
            self.wake_all(now);
        }
    }

    /// Counts a call that failed transiently. True when that makes an outage.
    pub(super) fn note_transient(&mut self, unit: &Unit) -> bool {
        // One resource that fails while others succeed says nothing about the API.
        !self.is_accused(unit) && self.health.failed(&unit.rows) && self.ledger.open_items() > 1
    }

    /// One resource that fails again although other calls have succeeded since it first failed.
    pub(super) fn is_accused(&self, unit: &Unit) -> bool {
        unit.rows.len() == 1 && unit.successes_then.is_some_and(|then| self.health.successes > then)
    }

    /// The call waits for the end of an outage, which begins now unless it has begun.
    pub(super) fn wait_for_outage(&mut self, now: Now, mut unit: Unit, failure: &Failure) {
        unit.failure = Some(failure.clone());
        unit.successes_then.get_or_insert(self.health.successes);
        self.push_back(now, unit, Duration::ZERO);
        if self.health.outage.is_none() {
            let wait = retry::wait(Series::Probe, 1, &mut self.rng).max(hint(failure));
            self.begin_outage(now, wait);
        }
    }
}
