//! Which call leaves next: a follow-up, a failed call that is due, or a new one around the oldest item.

use super::{
    Action, CallId, Flight, Lane, Now,
    event::Sent,
    health::{IN_A_ROW, Outage},
    queue::Unit,
};
use crate::{
    call::Call,
    plan::{Cell, Rectangle},
};
use std::time::Duration;

/// Calls for other work between two for resources that do not exist yet.
const BETWEEN_MISSING: u32 = 3;

/// The next call, before its permit is taken.
#[allow(clippy::large_enum_variant, reason = "one at a time, on the stack")]
enum Next {
    FollowUp(CallId),
    Again(Unit),
    New(Rectangle),
    /// A probe: one row, and the failed call it was taken from.
    Probe(Unit, Option<Unit>),
}

impl Lane {
    /// Sends one call if one may leave now.
    pub(super) fn send(&mut self) {
        let now = self.now;
        self.permit_at = None;
        self.counts.limited = self.limited(now);
        self.limited_since = None;
        if self.stalled || !self.health.may_call() || !self.has_candidate() {
            return;
        }
        // The permit is looked at first: a call is only formed when it can leave, from all that is pending then.
        if let Err(at) = self.pace.peek(now) {
            (self.permit_at, self.limited_since) = (Some(at), Some(now));
            return;
        }
        if self.follow_ups.is_empty() && self.budget.allowed_at() > now && !self.has_new_candidate() {
            self.permit_at = Some(self.budget.allowed_at());
            return;
        }
        let Some(next) = self.choose(now) else {
            let allowed_at = self.budget.allowed_at();
            if self.queue.has_due() && allowed_at > now {
                // What was left to choose from has just become a failed call, and those are spaced out at the moment.
                self.permit_at = Some(allowed_at);
            } else {
                // Company is on its way: nothing changes before the next input.
                self.stalled = true;
            }
            return;
        };
        if let Err(at) = self.pace.take(now) {
            (self.permit_at, self.limited_since) = (Some(at), Some(now));
            self.put_back(next);
            return;
        }
        self.depart(next);
    }

    fn window(&self) -> usize {
        if self.health.outage.is_some() { 1 } else { self.settings.concurrency.max(1) }
    }

    /// Whether anything could leave if a permit were there.
    fn has_candidate(&self) -> bool {
        if !self.follow_ups.is_empty() {
            return true;
        }
        if self.draining || self.flights.len() >= self.window() {
            return false;
        }
        match &self.health.outage {
            Some(outage) => outage.next_at <= self.now && (!self.queue.is_empty() || self.backlog.table.ready() > 0),
            None => {
                self.queue.has_due()
                    || self.queue.has_missing_due()
                    || self.backlog.table.ready() > 0
                    || self.may_settle_held()
            }
        }
    }

    fn has_new_candidate(&self) -> bool {
        self.health.outage.is_some()
            || self.backlog.table.ready() > 0
            || self.queue.has_missing_due()
            || self.may_settle_held()
    }

    /// Denied work is all that is left but for what does not exist yet, and nothing on its way can tell whether everything
    /// is denied.
    fn may_settle_held(&self) -> bool {
        !self.health.held.is_empty() && self.flights.is_empty() && self.queue.has_only_missing()
    }

    fn choose(&mut self, now: Now) -> Option<Next> {
        if let Some(id) = self.follow_ups.pop_front() {
            return Some(Next::FollowUp(id));
        }
        if let Some(outage) = self.health.outage.clone() {
            return self.choose_probe(&outage);
        }
        // What does not exist yet takes every fourth call at most, and any that nobody else wants.
        if self.since_missing >= BETWEEN_MISSING
            && let Some(unit) = self.queue.pop_missing()
        {
            self.since_missing = 0;
            return Some(Next::Again(unit));
        }
        if let Some(next) = self.choose_other(now) {
            self.since_missing = self.since_missing.saturating_add(1);
            return Some(next);
        }
        self.queue.pop_missing().map(Next::Again)
    }

    /// The next call among those whose resources exist as far as we know.
    fn choose_other(&mut self, now: Now) -> Option<Next> {
        if self.health.in_doubt() {
            // Any of them, not the oldest: what we may not touch often stands together in a file.
            let from = self.rng.u64(..self.backlog.newest().max(1));
            let fresh = self.backlog.table.next_after(from).or_else(|| self.backlog.table.next_after(0));
            if let Some(rectangle) = fresh.and_then(|(_, row)| self.backlog.cut_alone(row)) {
                return Some(Next::New(rectangle));
            }
            if let Some(mut unit) = self.queue.pop_due(self.backlog.table.is_urgent_turn()) {
                if unit.rows.len() > 1 {
                    let row = unit.rows.remove(0);
                    let single = self.part(&unit, vec![row], unit.cells.clone());
                    self.queue.push(unit, now);
                    self.queue.wake(now);
                    return Some(Next::Again(Unit { suspect: true, ..single }));
                }
                return Some(Next::Again(unit));
            }
        }
        let turn = self.backlog.table.is_urgent_turn();
        let retry = self.queue.oldest_due(turn).filter(|_| self.budget.allowed_at() <= now);
        let fresh = self.backlog.table.oldest().map(|(age, row)| (self.backlog.is_urgent(row), age));
        // Whose turn it is first, then the older.
        let goes_first = |(urgent, age): (bool, u64)| {
            fresh.is_none_or(|(other, fresh)| if urgent == other { age <= fresh } else { urgent == turn })
        };
        if retry.is_some_and(goes_first) {
            return self.again(turn);
        }
        if let Some(rectangle) = self.backlog.cut(now) {
            return Some(Next::New(rectangle));
        }
        if retry.is_some() {
            return self.again(turn);
        }
        if self.may_settle_held() && self.backlog.table.ready() == 0 {
            if self.health.trusted {
                // The identity has proven good since: these are denied, not everything.
                self.condemn_held(now, now);
                return self.choose_other(now);
            }
            return self.health.held.pop().map(|held| Next::Again(held.unit));
        }
        None
    }

    /// The failed call that goes next; it takes its turn like a new one.
    fn again(&mut self, urgent_first: bool) -> Option<Next> {
        let unit = self.queue.pop_due(urgent_first)?;
        self.backlog.table.went(unit.urgent);
        Some(Next::Again(unit))
    }

    /// One row, by turns from a failed call and from work that has not been tried; each time another one.
    fn choose_probe(&mut self, outage: &Outage) -> Option<Next> {
        let fresh = self.backlog.table.next_after(outage.cursor).or_else(|| self.backlog.table.next_after(0));
        if (outage.from_queue || fresh.is_none())
            && let Some(mut origin) = self.queue.pop_any()
        {
            let row = *origin.rows.first()?;
            origin.rows.remove(0);
            let unit = Unit { id: self.queue.id(), rows: vec![row], sibling: None, ..origin.clone() };
            return Some(Next::Probe(unit, Some(origin)));
        }
        let (age, row) = fresh?;
        if let Some(outage) = &mut self.health.outage {
            outage.cursor = age;
        }
        let rectangle = self.backlog.cut_alone(row)?;
        let unit = self.unit(rectangle);
        Some(Next::Probe(unit, None))
    }

    /// A new call as a unit.
    pub(super) fn unit(&mut self, rectangle: Rectangle) -> Unit {
        Unit {
            id: self.queue.id(),
            urgent: rectangle.rows.iter().any(|row| self.backlog.is_urgent(*row)),
            age: rectangle.rows.iter().map(|row| self.backlog.age(*row)).min().unwrap_or(u64::MAX),
            rows: rectangle.rows,
            cells: rectangle.cells,
            tries: 0,
            successes_then: None,
            successes_last: self.health.successes,
            suspect: false,
            sibling: None,
            again: false,
            spent: 0,
            streak: 0,
            missing: 0,
            failure: None,
        }
    }

    /// The permit was not there after all.
    fn put_back(&mut self, next: Next) {
        let now = self.now;
        match next {
            Next::FollowUp(id) => self.follow_ups.push_front(id),
            Next::Again(unit) => {
                self.queue.push(unit, now);
                self.queue.wake(now);
            }
            Next::New(rectangle) => self.release(&rectangle.rows),
            Next::Probe(unit, origin) => self.restore_probe(now, unit, origin, true),
        }
    }

    /// Puts a probe's row back where it came from: first in line when it never left, last when it failed.
    pub(super) fn restore_probe(&mut self, now: Now, unit: Unit, origin: Option<Unit>, first: bool) {
        match origin {
            Some(mut origin) => {
                let at = if first { 0 } else { origin.rows.len() };
                for row in unit.rows {
                    origin.rows.insert(at, row);
                }
                if !first {
                    // A new id sends the unit to the back of the line for probes.
                    origin.id = self.queue.id();
                }
                self.queue.push(origin, now);
                self.queue.wake(now);
            }
            None => self.release(&unit.rows),
        }
    }

    fn depart(&mut self, next: Next) {
        let now = self.now;
        let (id, flight) = match next {
            Next::FollowUp(id) => {
                self.counts.calls += 1;
                let Some(flight) = self.flights.get_mut(&id) else { return };
                flight.departed = now;
                let flight = flight.clone();
                self.note_request(&flight.unit, Sent::FollowUp);
                let call = self.call_of(&flight.unit);
                self.actions.push_back(Action::Call(id, call, flight.memo));
                return;
            }
            Next::Again(unit) => {
                if unit.tries > 0 {
                    let gap = self.pace.gap(now);
                    self.budget.spend(now, gap);
                }
                (None, Flight { unit, origin: None, probe: false, departed: now, memo: None })
            }
            Next::New(rectangle) => {
                let unit = self.unit(rectangle);
                (None, Flight { unit, origin: None, probe: false, departed: now, memo: None })
            }
            Next::Probe(unit, origin) => {
                if let Some(outage) = &mut self.health.outage {
                    outage.from_queue = origin.is_none();
                }
                (None, Flight { unit, origin, probe: true, departed: now, memo: None })
            }
        };
        let id: CallId = id.unwrap_or_else(|| {
            self.next_call += 1;
            CallId(self.next_call)
        });
        self.counts.calls += 1;
        self.counts.retries += u64::from(flight.unit.again);
        self.note_request(&flight.unit, if flight.unit.again { Sent::Again } else { Sent::First });
        let call = self.call_of(&flight.unit);
        self.flights.insert(id, flight);
        self.actions.push_back(Action::Call(id, call, None));
    }

    /// A request leaves, follow-ups included: it counts for every job it speaks for.
    fn note_request(&mut self, unit: &Unit, sent: Sent) {
        let (now, active, request) = (self.now, self.health.active(self.now), self.counts.calls);
        for row in &unit.rows {
            let ledger = &mut self.ledger;
            let jobs: Vec<u32> = self.backlog.involved(*row, &unit.cells, ledger).map(|item| item.job).collect();
            for job in jobs {
                ledger.departed(job, request, now, sent);
            }
            self.backlog.for_involved(*row, &unit.cells, ledger, |item| {
                item.first_attempt.get_or_insert(active);
            });
        }
        self.firsts += u64::from(sent == Sent::First);
    }

    fn call_of(&self, unit: &Unit) -> Call {
        let op = unit.op();
        let (tags, rest): (Vec<Cell>, Vec<Cell>) = unit.cells.iter().copied().partition(|cell| cell.op() == op);
        let only_missing = tags.iter().filter(|cell| cell.is_gentle()).copied().collect::<Vec<Cell>>();
        Call {
            op,
            resources: unit.rows.iter().filter_map(|row| self.backlog.resource(*row).cloned()).collect(),
            tags: self.backlog.tags(&tags),
            also_unset: self.backlog.tags(&rest).into_iter().map(|(key, _)| key).collect(),
            only_missing: self.backlog.tags(&only_missing).into_iter().map(|(key, _)| key).collect(),
        }
    }

    /// When the next call could leave.
    pub(super) fn call_deadline(&self) -> Option<Now> {
        if self.has_candidate() {
            // Without a permit time the lane waits for a reply: company is on its way.
            return self.permit_at;
        }
        if self.draining || self.flights.len() >= self.window() {
            return None;
        }
        match &self.health.outage {
            Some(outage) if !self.queue.is_empty() || self.backlog.table.ready() > 0 => Some(outage.next_at),
            _ => self.queue.next_at(),
        }
    }

    /// The run of transient failures is an outage: single probes from now on, and nothing spent on it counts.
    pub(super) fn begin_outage(&mut self, now: Now, wait: Duration) {
        self.health.outage = Some(Outage { probes: 0, next_at: now + wait, cursor: 0, from_queue: true });
        let last = self.queue.iter().filter_map(|unit| unit.failure.as_ref()).last();
        let code = last.map_or_else(String::new, |failure| failure.code.clone());
        let request = last.and_then(|failure| failure.request_id.clone());
        let words = format!("the last {IN_A_ROW} calls failed ({code}); single probes until one is answered");
        self.actions.push_back(Action::Note(super::Note::OutageBegan(words, request)));
        // Denied work whose verdict waits is asked again when the API is back.
        for held in std::mem::take(&mut self.health.held) {
            self.queue.push(held.unit, now);
        }
        for mut unit in self.queue.drain() {
            let spent = if unit.streak == self.health.streak() { std::mem::take(&mut unit.spent) } else { 0 };
            unit.tries = unit.tries.saturating_sub(spent);
            for row in &unit.rows {
                self.backlog.for_involved(*row, &unit.cells, &self.ledger, |item| {
                    item.attempts = item.attempts.saturating_sub(spent);
                });
            }
            self.queue.push(unit, now);
        }
    }
}
