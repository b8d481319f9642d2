//! One lane as a machine: jobs and replies go in, calls and settlements come out. No clock, no I/O, no chance of its own.
//!
//! Protocol: one input (`handle_*`), then drain [`Lane::poll_action`], then sleep until [`Lane::poll_deadline`] or the
//! next input. Time never goes back. The promises L1 to L11 stand in [`invariant`].

pub mod event;
pub mod invariant;

mod apart;
mod arrivals;
mod backlog;
mod bury;
mod carried;
mod cause;
mod gate;
mod health;
mod item;
mod ledger;
mod missing;
mod outage;
mod pace;
mod queue;
mod record;
mod retry;
mod send;
mod transient;
mod verdict;

pub use carried::Carried;
pub use cause::Cause;
pub use event::{
    Action, CallId, Cancel, Control, Counts, Dead, Emission, EmitId, Naming, Note, Now, Refused, Settings, Settlement,
    Status, Tuning, Work,
};
pub use pace::Pace;

use crate::{
    call::{Answer, Memo},
    job::Mark,
    plan::RowId,
};
use backlog::{Backlog, Finished};
use health::{Health, Identity};
use ledger::{Desk, Ledger};
use queue::{Queue, Unit};
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, time::Duration};

/// Beyond its capacity a lane takes this part of it of urgent work.
const RESERVE: usize = 10;

/// A call that is on its way.
#[derive(Clone, Debug)]
struct Flight {
    unit: Unit,
    /// For a probe: the failed call that it was taken from.
    origin: Option<Unit>,
    probe: bool,
    departed: Now,
    memo: Option<Memo>,
}

/// The state machine of one lane.
#[derive(Debug)]
pub struct Lane {
    settings: Settings,
    backlog: Backlog,
    ledger: Ledger,
    queue: Queue,
    health: Health,
    pace: Pace,
    budget: retry::Budget,
    flights: FxHashMap<CallId, Flight>,
    /// Calls whose reply asks for another request: they keep their slot and take the next permit.
    follow_ups: VecDeque<CallId>,
    actions: VecDeque<Action>,
    /// Documents the broker refused go out again then.
    reemit: Vec<(EmitId, Now)>,
    draining: bool,
    /// Cancelled items are on their way.
    cancelled: bool,
    /// Rows that answered probes of this outage: how often, and since when.
    probed: FxHashMap<RowId, (u32, Now)>,
    /// Throttles in a row.
    throttles: u32,
    /// Calls since the last one for what does not exist yet.
    since_missing: u32,
    permit_at: Option<Now>,
    /// A call is ready since then, and has no permit.
    limited_since: Option<Now>,
    /// Calls that were the first for some of their work.
    firsts: u64,
    /// Nothing can be sent before the next input.
    stalled: bool,
    next_call: u64,
    rng: fastrand::Rng,
    counts: Counts,
    now: Now,
}

impl Lane {
    /// A lane with nothing to do and an empty rate bucket.
    pub fn new(settings: Settings, naming: Box<dyn Naming>, now: Now) -> Self {
        let pace = Pace::new(settings.per_second, settings.burst, now);
        let rng = fastrand::Rng::with_seed(settings.seed);
        Self {
            backlog: Backlog::new(settings.caps, naming),
            ledger: Ledger::default(),
            queue: Queue::default(),
            health: Health::default(),
            pace,
            budget: retry::Budget::default(),
            flights: FxHashMap::default(),
            follow_ups: VecDeque::new(),
            actions: VecDeque::new(),
            reemit: Vec::new(),
            draining: false,
            cancelled: false,
            probed: FxHashMap::default(),
            throttles: 0,
            since_missing: 0,
            permit_at: None,
            limited_since: None,
            firsts: 0,
            stalled: false,
            next_call: 0,
            rng,
            counts: Counts::default(),
            now,
            settings,
        }
    }

    /// What an operator may change while the lane works. Nothing on its way is lost, and what was learned stays.
    pub fn handle_tuning(&mut self, now: Now, tuning: Tuning) {
        self.step(now);
        let Tuning { per_second, burst, concurrency, max_attempts, give_up_after } = tuning;
        if (per_second, burst) != (self.settings.per_second, self.settings.burst) {
            self.pace.retune(per_second, burst, now);
        }
        self.settings =
            Settings { per_second, burst, concurrency, max_attempts, give_up_after, ..self.settings.clone() };
        self.step(now);
    }

    /// No call leaves before then: an earlier owner's last writes may not be seen yet.
    pub fn stay_away(&mut self, until: Now) {
        self.pace.stay_away(until);
    }

    /// How many more items the lane would like; 0 while it is full or ends (L11).
    pub fn room(&self) -> usize {
        if self.draining { 0 } else { self.settings.capacity.saturating_sub(self.ledger.items()) }
    }

    /// How many more items the lane would like of jobs that go ahead: bulk work never takes all the room there is.
    pub fn urgent_room(&self) -> usize {
        let all = self.settings.capacity + self.settings.capacity / RESERVE;
        if self.draining { 0 } else { all.saturating_sub(self.ledger.items()) }
    }

    /// Takes a job on.
    pub fn handle_job(&mut self, now: Now, work: &Work) {
        self.step(now);
        if self.draining || self.ledger.has(work.ticket) {
            self.actions.push_back(Action::Settle(work.ticket, Settlement::Returned));
            return;
        }
        let cells = self.backlog.cells(work);
        let job = self.ledger.open(work, cells, now, &self.settings);
        if !self.settings.marks {
            let backlog = &self.backlog;
            self.ledger.queue_up(job, work.job.resources.iter().map(|resource| backlog.hash(resource)));
        }
        let mut finals: Vec<&(u32, Mark)> = work.finals.iter().collect();
        finals.sort_by_key(|(index, _)| *index);
        finals.dedup_by_key(|(index, _)| *index);
        let mut at = 0;
        for index in 0..work.job.resources.len() as u32 {
            if let Some((_, mark)) = finals.get(at).filter(|(known, _)| *known == index) {
                at += 1;
                if let Mark::Dead(failure) = mark {
                    self.counts.buried(Cause::known(failure));
                }
                self.conclude((job, index), mark.clone(), true);
                continue;
            }
            let finished = self.backlog.add(job, index, work, &self.ledger);
            self.finish(finished);
        }
    }

    /// A reply, or what stands for one when none came.
    pub fn handle_reply(&mut self, now: Now, call: CallId, answer: Answer) {
        self.step(now);
        let Some(flight) = self.flights.get_mut(&call) else { return };
        if let Answer::FollowUp(memo) = answer {
            flight.memo = Some(memo);
            self.follow_ups.push_back(call);
            self.health.alive();
            return;
        }
        if let Some(flight) = self.flights.remove(&call) {
            self.judge(now, flight, answer);
        }
        if self.cancelled {
            self.cancel_waiting(now);
        }
        self.step(now);
    }

    /// A deadline has come.
    pub fn handle_timeout(&mut self, now: Now) {
        self.step(now);
    }

    /// The broker has a document, or has refused it.
    pub fn handle_confirm(&mut self, now: Now, emit: EmitId, ok: bool) {
        self.step(now);
        if ok {
            self.confirm(emit, true);
        } else {
            self.reemit.push((emit, now + Duration::from_secs(1)));
        }
    }

    /// The answer to [`Action::Refresh`], or a credential that somebody has fixed.
    pub fn handle_credential(&mut self, now: Now, outcome: Result<(), String>) {
        self.step(now);
        match outcome {
            Ok(()) if self.health.identity == Identity::Refreshing => self.health.identity = Identity::Fresh(now),
            Ok(()) if self.health.paused.is_some() => self.resume(now),
            Ok(()) => {}
            Err(why) => self.pause(why, None),
        }
        self.step(now);
    }

    /// The lane belongs to somebody else now: forget everything, answer nothing.
    pub fn handle_lost(&mut self, now: Now) {
        self.step(now);
        self.ledger = Ledger::default();
        self.queue = Queue::default();
        self.health.held.clear();
        self.backlog.forget(self.settings.caps);
        self.flights.clear();
        self.follow_ups.clear();
        self.actions.clear();
        self.reemit.clear();
        self.limited_since = None;
        self.draining = true;
    }

    /// What the operator asks for.
    pub fn handle_control(&mut self, now: Now, control: &Control) {
        self.step(now);
        match control {
            Control::Pause => self.health.operator_pause = true,
            Control::Resume => self.resume(now),
            Control::Drain => self.draining = true,
            Control::Cancel(which) => {
                if self.ledger.cancel(which) {
                    self.cancelled = true;
                    self.cancel_waiting(now);
                }
            }
        }
        self.step(now);
    }

    /// `request` is the one that said so.
    fn pause(&mut self, why: String, request: Option<String>) {
        if self.health.paused.is_none() {
            self.actions.push_back(Action::Note(Note::Paused(why.clone(), request)));
        }
        self.health.pause(why);
        self.health.identity = Identity::Good;
        // Their verdict was: perhaps everything is denied. It is.
        for held in std::mem::take(&mut self.health.held) {
            self.queue.push(held.unit, self.now);
        }
    }

    fn resume(&mut self, now: Now) {
        if self.health.paused.is_some() || self.health.operator_pause {
            self.actions.push_back(Action::Note(Note::Resumed));
        }
        self.health.resume();
        self.wake_all(now);
    }

    /// Every failed call may go again now.
    fn wake_all(&mut self, now: Now) {
        for unit in self.queue.drain() {
            self.queue.push(unit, now);
        }
    }

    /// The next thing to do; drain it after every input.
    pub fn poll_action(&mut self) -> Option<Action> {
        if self.actions.is_empty() {
            self.send();
        }
        if self.actions.is_empty() {
            self.ledger.flush_marks(&mut self.actions);
        }
        if self.actions.is_empty() && self.draining && self.is_quiet() {
            self.flights.clear();
            self.follow_ups.clear();
            let Self { now, settings, backlog, ledger, actions, .. } = self;
            let desk = &mut Desk { now: *now, settings, symbols: &mut backlog.symbols, out: actions };
            ledger.return_unfinished(desk);
        }
        self.actions.pop_front()
    }

    /// No call is on its way and none can be.
    fn is_quiet(&self) -> bool {
        // A follow-up that may not leave (the lane is paused) is given up; its ticket goes back.
        self.flights.len() == self.follow_ups.len() && (self.follow_ups.is_empty() || !self.health.may_call())
    }

    /// When the lane wants to be woken if nothing else happens (always after the last input).
    pub fn poll_deadline(&self) -> Option<Now> {
        let emit = self.reemit.iter().map(|(_, at)| *at).min();
        let blocked = Some(self.pace.blocked_until()).filter(|until| *until > self.now);
        let call = if self.health.may_call() { self.call_deadline() } else { None };
        [emit, call, blocked].into_iter().flatten().min().map(|at| at.max(self.now + Duration::from_nanos(1)))
    }

    /// Nothing is pending, on its way or unconfirmed.
    pub fn is_idle(&self) -> bool {
        self.ledger.jobs() == 0 && self.flights.is_empty() && self.actions.is_empty()
    }

    /// Every ticket has been answered and no document is on its way: the lane may be dropped.
    pub fn is_drained(&self) -> bool {
        self.draining && self.is_idle()
    }

    /// How long calls that were ready have waited for the rate limit so far.
    pub fn limited(&self, now: Now) -> Duration {
        self.counts.limited + self.limited_since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// The lane at a glance.
    pub fn status(&self) -> Status {
        let paused = self.health.paused.clone();
        let operator = self.health.operator_pause.then(|| "paused by the operator".to_owned());
        let waits = self.waits();
        Status {
            pending: self.ledger.open_items(),
            keys_left: self.backlog.left(),
            in_flight: self.flights.len() - self.follow_ups.len(),
            waiting: self.queue.rows(),
            jobs: self.ledger.jobs(),
            held: self.ledger.held(),
            oldest: self.ledger.oldest(),
            waits,
            full: waits && self.room() == 0,
            rate: self.pace.rate(self.now),
            ceiling: self.settings.per_second,
            paused: paused.or(operator),
            ordered: self.health.operator_pause,
            outage: self.health.outage.is_some(),
            counts: Counts {
                tagged: self.ledger.fates[0],
                unchanged: self.ledger.fates[1],
                dead: self.ledger.fates[2],
                limited: self.limited(self.now),
                ..self.counts
            },
        }
    }

    /// All there is waits for a retry, the end of an outage or a pause.
    fn waits(&self) -> bool {
        if self.draining || self.ledger.open_items() == 0 {
            return false;
        }
        let standing = !self.health.may_call() || self.health.outage.is_some();
        standing || (self.backlog.table.ready() == 0 && self.flights.values().all(|flight| flight.unit.again))
    }

    fn step(&mut self, now: Now) {
        debug_assert!(now >= self.now, "time never goes back");
        self.now = now;
        self.stalled = false;
        self.queue.wake(now);
        let still = self.health.outage.is_some() || !self.health.may_call() || self.pace.blocked_until() > now;
        self.health.stand_still(now, still);
        let mut due = Vec::new();
        self.reemit.retain(|(emit, at)| {
            let wait = *at > now;
            if !wait {
                due.push(*emit);
            }
            wait
        });
        for emit in due {
            self.confirm(emit, false);
        }
    }

    fn confirm(&mut self, emit: EmitId, ok: bool) {
        let Self { now, settings, backlog, ledger, actions, .. } = self;
        ledger.confirm(emit, ok, &mut Desk { now: *now, settings, symbols: &mut backlog.symbols, out: actions });
    }

    /// Writes final items down.
    fn finish(&mut self, finished: Vec<Finished>) {
        for done in finished {
            let fate = if done.unchanged { Mark::Unchanged } else { Mark::Tagged { superseded: done.superseded } };
            self.conclude((done.item.job, done.item.index), fate, false);
        }
    }

    /// An item has its fate; `known` says that it had it before the lane saw it.
    fn conclude(&mut self, item: (u32, u32), fate: Mark, known: bool) {
        let Self { now, settings, backlog, ledger, actions, .. } = self;
        let desk = &mut Desk { now: *now, settings, symbols: &mut backlog.symbols, out: actions };
        ledger.finish(item, fate, known, desk);
        // It is shown only when it has grown: what is counted never goes back.
        self.counts.saved = self.counts.saved.max(self.ledger.alone.saturating_sub(self.firsts));
    }

    /// The rows may go again with what they have left.
    fn release(&mut self, rows: &[RowId]) {
        for row in rows {
            let finished = self.backlog.free(*row, &self.ledger);
            self.finish(finished);
            self.keep_apart(*row);
        }
    }

    /// Items that go one by one go in calls of their own: what was rejected once does not meet fresh work again.
    fn keep_apart(&mut self, row: RowId) {
        if self.backlog.is_apart(row)
            && let Some(rectangle) = self.backlog.cut_alone(row)
        {
            let unit = self.unit(rectangle);
            self.push_back(self.now, Unit { suspect: true, ..unit }, Duration::ZERO);
        }
    }
}
