//! What a reply means for each item: carried out, again later, taken apart, held, or dead.

use super::{
    Action, Flight, Lane, Note, Now, Refused,
    backlog::Outcome,
    health::Identity,
    queue::Unit,
    retry::{self, HINT_AT_MOST, Series},
};
use crate::{
    call::{Answer, Blame, Failure, Fate, Kind, Missing},
    plan::RowId,
};
use std::time::Duration;

impl Lane {
    /// Carries out what a reply says.
    pub(super) fn judge(&mut self, now: Now, flight: Flight, answer: Answer) {
        if flight.probe {
            self.judge_probe(now, flight, answer);
            return;
        }
        match answer {
            Answer::Finished(fates) if fates.len() == flight.unit.rows.len() => self.finished(now, flight, fates),
            Answer::Failure(failure) => self.failed(now, flight, failure),
            Answer::Finished(_) | Answer::FollowUp(_) => {
                let words = "the answer does not cover the items of the call";
                let failure = Failure::new(Kind::Transient, Blame::Unnamed, "truncated", words);
                self.failed(now, flight, failure);
            }
        }
    }

    fn finished(&mut self, now: Now, flight: Flight, fates: Vec<Fate>) {
        let unit = flight.unit;
        let failures: Vec<&Failure> = fates
            .iter()
            .filter_map(|fate| match fate {
                Fate::Failed(failure) => Some(failure),
                _ => None,
            })
            .collect();
        let applied = failures.len() < fates.len();
        if applied {
            self.applied_something(now, flight.departed, &unit);
        } else if let Some(first) = failures.first().map(|failure| (*failure).clone()) {
            let all = |kind: Kind| failures.iter().all(|failure| failure.kind == kind);
            if all(Kind::Throttled) || all(Kind::Auth) {
                // One answer for all: as if the call had been answered that way.
                self.failed(now, Flight { unit, ..flight }, first);
                return;
            }
            let away = all(Kind::Transient) && failures.iter().any(|failure| failure.blame != Blame::State);
            if !away {
                self.end_outage(now);
            } else if self.health.outage.is_some() || self.note_transient(&unit) {
                self.wait_for_outage(now, unit, &first);
                return;
            }
        }
        self.per_row(now, flight.departed, &unit, fates, applied);
    }

    /// A call applied something: the identity is good, the API is there, and waiting verdicts can be spoken.
    fn applied_something(&mut self, now: Now, departed: Now, unit: &Unit) {
        self.end_outage(now);
        self.health.succeeded(departed);
        self.pace.succeeded(now);
        self.budget.earn();
        self.throttles = 0;
        self.condemn_held(now, departed);
        if let Some(sibling) = unit.sibling
            && let Some(other) = self.queue.take(sibling)
        {
            // This half is innocent, so the other is guilty: it need not be asked as a whole.
            if other.rows.len() > 1 {
                self.halve(now, &other);
            } else {
                self.queue.push(other, now);
            }
        }
    }

    /// Row by row, where the provider says what became of each.
    fn per_row(&mut self, now: Now, departed: Now, unit: &Unit, fates: Vec<Fate>, applied: bool) {
        let mut free = Vec::new();
        let mut throttled = Vec::new();
        let mut transient: Vec<(RowId, Failure)> = Vec::new();
        let mut denied: Vec<(RowId, Failure)> = Vec::new();
        let mut missing: Vec<(RowId, Failure)> = Vec::new();
        for (row, fate) in unit.rows.iter().copied().zip(fates) {
            match fate {
                Fate::Tagged => {
                    self.backlog.applied(row, &unit.cells, Outcome::Done(&[]), &self.ledger);
                    free.push(row);
                }
                Fate::Kept(keys) => {
                    self.backlog.applied(row, &unit.cells, Outcome::Done(&keys), &self.ledger);
                    free.push(row);
                }
                Fate::Unchanged => {
                    self.backlog.applied(row, &unit.cells, Outcome::Unchanged, &self.ledger);
                    free.push(row);
                }
                Fate::Failed(failure) => match failure.kind {
                    Kind::Throttled | Kind::Auth => throttled.push((row, failure)),
                    Kind::Transient => transient.push((row, failure)),
                    Kind::Denied if !applied => denied.push((row, failure)),
                    Kind::Rejected if failure.missing != Missing::No => missing.push((row, failure)),
                    Kind::Denied | Kind::Rejected => self.reject_row(now, row, unit, &failure),
                },
            }
        }
        self.release(&free);
        if let Some((_, failure)) = throttled.first() {
            // Only the throttled ones go again, and they go together.
            let hold = self.hold_after_throttle(failure);
            self.counts.throttled += 1;
            self.pace.throttled(now, departed, hold);
            let rows = throttled.iter().map(|(row, _)| *row).collect();
            let part = self.part(unit, rows, unit.cells.clone());
            self.push_back(now, part, Duration::ZERO);
        }
        self.transient_rows(now, unit, transient, applied);
        self.missing_rows(now, unit, missing);
        if !denied.is_empty() {
            let (rows, failures) = denied.into_iter().unzip();
            let part = self.part(unit, rows, unit.cells.clone());
            self.hold(now, part, failures);
        }
    }

    fn failed(&mut self, now: Now, flight: Flight, failure: Failure) {
        let Flight { mut unit, departed, .. } = flight;
        unit.failure = Some(failure.clone());
        match failure.kind {
            Kind::Throttled => {
                self.end_outage(now);
                self.counts.throttled += 1;
                let hold = self.hold_after_throttle(&failure);
                self.pace.throttled(now, departed, hold);
                unit.again = true;
                self.push_back(now, unit, Duration::ZERO);
            }
            Kind::Transient => self.failed_transiently(now, unit, &failure),
            Kind::Auth => {
                self.end_outage(now);
                unit.again = true;
                self.push_back(now, unit, Duration::ZERO);
                self.identity_refused(departed, &failure);
            }
            Kind::Denied => self.denied(now, unit, failure),
            Kind::Rejected if failure.blame == Blame::Request => self.denied(now, unit, failure),
            Kind::Rejected => self.rejected(now, &unit, &failure),
        }
    }

    fn hold_after_throttle(&mut self, failure: &Failure) -> Duration {
        self.throttles += 1;
        let hold = match failure.retry_after {
            Some(after) => after.min(HINT_AT_MOST),
            None => retry::wait(Series::Probe, self.throttles, &mut self.rng),
        };
        self.actions.push_back(Action::Note(Note::Throttled(hold, refused(failure))));
        hold
    }

    fn identity_refused(&mut self, departed: Now, failure: &Failure) {
        match self.health.identity {
            Identity::Refreshing => {}
            Identity::Good => {
                self.health.identity = Identity::Refreshing;
                self.retrying(failure);
                self.actions.push_back(Action::Refresh(failure.server_time));
            }
            // It left with the old credential.
            Identity::Fresh(at) if departed < at => {}
            Identity::Fresh(_) => {
                let Failure { code, message, request_id, .. } = failure;
                let why = format!("the cloud refuses the credentials ({code}: {message}); correct them, then resume");
                self.pause(why, request_id.clone());
            }
        }
    }

    pub(super) fn retrying(&mut self, failure: &Failure) {
        self.actions.push_back(Action::Note(Note::Retrying(refused(failure))));
    }
}

fn refused(failure: &Failure) -> Refused {
    Refused { code: failure.code.clone(), request_id: failure.request_id.clone() }
}
