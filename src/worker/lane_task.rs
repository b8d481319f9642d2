//! The task of one lane while it is open: one input, all its actions, then sleep until something happens.

use super::{
    WorkerError, clock,
    counted::{Counted, result},
    identity::Identity,
    notes::{stillborn, tell},
    outbox::Outbox,
    parts::Parts,
    standing::Standing,
    view::Stand,
    work::Reading,
};
use crate::{
    broker::{Broker, BrokerError, Deed, Delivery, Feed, Orders, Ticket},
    call::{Answer, Blame, Call, Failure, Fate, Kind, Memo, Moment},
    config::Mode,
    lane::{Action, CallId, Carried, Control, Counts, Emission, Lane, Note, Now, Settlement, Status, Tuning},
    telemetry::spans::{self, Leaving},
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeMap, sync::Arc, time::Duration, time::Instant};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant as TimerInstant, MissedTickBehavior},
};
use tracing::Span;

/// Items taken from the broker at a time; one message always fits.
const DELIVERIES: usize = 1000;

/// How long a lane that starts waits for more work before it sends what it has.
const FILLING: Duration = Duration::from_millis(20);

/// The same in all, where the queue is not our own: what trickles in could hold the lane up for long.
const FILLED_BY: Duration = Duration::from_millis(500);

/// How often the lane looks at what nobody tells it.
const LOOK: Duration = Duration::from_secs(1);

/// How a lane's task ended, in good order: everything that is final is settled, the rest is free for the next owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The feed is exhausted, or the worker was told to stop.
    Done,
    /// The broker wants the lane to be opened again, and why.
    Reopen(&'static str),
}

/// A lane, its feed, and everything that is on its way.
pub(super) struct LaneTask<B: Broker> {
    parts: Parts,
    /// Calls on their way. Before the feed: they end first when the task is dropped.
    replies: JoinSet<(CallId, Answer)>,
    feed: B::Feed,
    outbox: Outbox<B>,
    orders: watch::Receiver<Arc<Orders>>,
    /// The orders as they have been obeyed.
    obeyed: Arc<Orders>,
    standing: Standing,
    identity: Identity,
    tuning: watch::Receiver<Tuning>,
    lane: Lane,
    started: Instant,
    /// No call leaves before: an earlier owner's last writes may not be seen yet.
    away: Now,
    /// The wall clock then.
    epoch: Timestamp,
    /// Calls of this lane so far.
    calls: u64,
    /// What earlier owners in this process have counted.
    earlier: Counts,
    /// It has been handed a message.
    active: bool,
    /// What is in the queue already is planned together: no call is formed before that time at the latest.
    filling: Option<TimerInstant>,
    /// When the messages it holds were published, where that is known.
    published: BTreeMap<Ticket, Timestamp>,
    /// The reply at hand says that the cloud does not take the credential.
    unauthorised: bool,
    /// That it is full of what waits for a retry has been told.
    stuck: bool,
    /// That it overwrites all the same has been told.
    overwrites: bool,
    counted: Counted,
}

impl<B: Broker> LaneTask<B> {
    pub(super) fn new(parts: Parts, broker: B, feed: B::Feed) -> Self {
        let mut orders = broker.orders();
        let obeyed = orders.borrow_and_update().clone();
        let name = parts.config.name.clone();
        let epoch = clock::wall();
        Self {
            replies: JoinSet::new(),
            feed,
            outbox: Outbox::new(name.clone(), broker),
            orders,
            standing: Standing::at_open(&name, &obeyed),
            obeyed,
            identity: Identity::new(name, parts.keeper.clone(), &parts.waits, parts.freshened.subscribe()),
            tuning: parts.tuning.subscribe(),
            lane: parts.machine(epoch, B::REMEMBERS_MARKS),
            started: clock::monotonic(),
            away: Now::ZERO,
            epoch,
            calls: 0,
            earlier: parts.board.counts(),
            active: false,
            filling: Some(filled_by::<B>()),
            published: BTreeMap::new(),
            unauthorised: false,
            stuck: false,
            overwrites: false,
            counted: Counted::new(parts.board.tally()),
            parts,
        }
    }

    fn now(&self) -> Now {
        clock::monotonic().saturating_duration_since(self.started)
    }

    /// Works until the feed is exhausted and everything is settled, or a drain is done. After an error the lane is lost:
    /// nothing is acked any more, and whatever was not comes back to whoever opens the lane next.
    pub(super) async fn run(mut self, stop: watch::Receiver<bool>) -> Result<Ending, WorkerError> {
        let ending = self.work(stop).await;
        // Nothing of ours is on its way when the next owner begins.
        self.replies.shutdown().await;
        let ending = ending?;
        self.feed.close().await;
        Ok(ending)
    }

    async fn work(&mut self, mut stop: watch::Receiver<bool>) -> Result<Ending, WorkerError> {
        if self.parts.config.mode == Mode::Observe {
            self.identity.is_nobody();
        } else {
            self.identity.begin();
        }
        self.hold_back();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut ending, mut draining, mut stopping, mut ordered) = (Ending::Done, false, false, true);
        loop {
            if !draining && let Some(why) = self.feed.wants_reopening() {
                (ending, draining) = (Ending::Reopen(why), true);
                self.control(&Control::Drain);
            }
            let (room, urgent) = (self.room(), self.urgent_room());
            let exhausted = self.feed.is_exhausted();
            let filled = exhausted || draining || (room == 0 && self.identity.is_known());
            if filled || self.filling.is_some_and(|end| TimerInstant::now() >= end) {
                self.filling = None;
            }
            if self.filling.is_none() {
                self.act()?;
            }
            let status = self.lane.status();
            let counts = status.counts;
            self.outbox.start(counts);
            self.show(status);
            if self.outbox.is_settled() && (self.lane.is_drained() || (self.lane.is_idle() && exhausted)) {
                // Calls that settled nothing, as before a pause, are calls all the same.
                self.outbox.count(counts);
                if self.outbox.is_settled() {
                    return Ok(ending);
                }
                continue;
            }
            let (deadline, held_back) = (self.lane.poll_deadline(), !self.outbox.may_call(self.calls));
            tokio::select! {
                Some(reply) = self.replies.join_next() => {
                    let (id, answer) = reply.map_err(|error| WorkerError::Task(error.to_string()))?;
                    self.heard(&answer);
                    self.lane.handle_reply(self.now(), id, answer);
                }
                (emits, outcome) = self.outbox.committed() => {
                    // What cannot be recorded is not acked, so it is not lost.
                    outcome?;
                    let now = self.now();
                    for emit in emits {
                        self.lane.handle_confirm(now, emit, true);
                    }
                }
                () = told_to(&mut stop), if !stopping => {
                    (ending, draining, stopping) = (Ending::Done, true, true);
                    self.control(&Control::Drain);
                }
                changed = self.orders.changed(), if ordered => match changed {
                    Ok(()) => self.obey(),
                    Err(_) => ordered = false,
                },
                outcome = self.identity.changed() => self.learn(outcome),
                Ok(()) = self.tuning.changed() => {
                    let tuning = *self.tuning.borrow_and_update();
                    self.lane.handle_tuning(self.now(), tuning);
                }
                found = handed(&mut self.feed, room, urgent), if urgent > 0 && !draining && !exhausted => self.take(found?),
                // While calls wait for a commit there is nothing to wake up for.
                () = until(self.started, deadline), if !held_back && self.filling.is_none() => {
                    self.lane.handle_timeout(self.now());
                }
                () = tokio::time::sleep(FILLING), if self.filling.is_some() && room > 0 => self.filling = None,
                _ = look.tick() => {}
            }
        }
    }

    /// How many items to ask for: what the lane has room for, while the broker keeps up with what is final. None before
    /// the lane knows who it is: what it holds it would call for.
    fn room(&self) -> usize {
        if self.outbox.is_behind() || !self.identity.is_known() { 0 } else { self.lane.room().min(DELIVERIES) }
    }

    /// The same for urgent work, which there is room for when there is none for other work.
    fn urgent_room(&self) -> usize {
        if self.outbox.is_behind() || !self.identity.is_known() { 0 } else { self.lane.urgent_room().min(DELIVERIES) }
    }

    fn control(&mut self, control: &Control) {
        match control {
            Control::Resume => self.identity.resumed(),
            Control::Drain => self.parts.board.stand(Stand::Draining),
            Control::Pause | Control::Cancel(_) => {}
        }
        self.lane.handle_control(self.now(), control);
    }

    /// Tells a machine that is new why it must not call.
    fn hold_back(&mut self) {
        if self.parts.config.mode == Mode::Observe {
            let why = "mode: observe; it plans and sends nothing (see `tagmill plan`)".to_owned();
            self.lane.handle_credential(self.now(), Err(why));
        }
        if self.standing.is_paused() {
            self.control(&Control::Pause);
        }
    }

    /// The first message says that the lane is ours. The one before us may have spent the rate of this very second.
    fn own(&mut self) {
        let paused = self.lane.status().paused.filter(|_| !self.standing.is_paused());
        self.active = true;
        (self.started, self.epoch) = (clock::monotonic(), clock::wall());
        self.lane = self.parts.machine(self.epoch, B::REMEMBERS_MARKS);
        self.away = self.parts.stays_away(self.outbox.broker());
        self.lane.stay_away(self.away);
        self.hold_back();
        if self.standing.is_paused() {
            tracing::info!(lane = %self.parts.config.name, "taken over as it was: paused by the operator");
        }
        if let Some(why) = paused.filter(|_| self.parts.config.mode != Mode::Observe) {
            self.lane.handle_credential(self.now(), Err(why));
        }
        self.filling = Some(filled_by::<B>());
    }

    fn take(&mut self, deliveries: Vec<Delivery>) {
        if !self.active && !deliveries.is_empty() {
            self.own();
        }
        let wall = clock::wall();
        for delivery in deliveries {
            let (ticket, published_at) = (delivery.ticket, delivery.published_at);
            let (lane, known) = (&self.parts.config.name, delivery.marks.len());
            let reading = Reading { lane, provider: &*self.parts.provider, orders: &self.obeyed, wall };
            match reading.read(delivery) {
                Ok(work) => {
                    if let Some(at) = published_at {
                        self.published.insert(ticket, at);
                    }
                    if !work.job.extras.overwrite && !self.overwrites && !self.parts.provider.limits().can_keep() {
                        self.overwrites = true;
                        let provider = self.parts.provider.name();
                        tracing::warn!(%lane, provider, "a job says `overwrite: false`; this API cannot tell what is there, so its tags are set all the same");
                    }
                    stillborn(lane, &work.job, &work.finals, known);
                    self.counted.job(&work);
                    self.lane.handle_job(self.now(), &work);
                }
                Err(raw) => {
                    tracing::warn!(%lane, letter = %raw.id, code = %raw.code, why = %raw.message, "a message is no job for this lane; it is dead-lettered");
                    self.counted.tally.raw();
                    self.outbox.push(Deed::RawDeadLetter(ticket, *raw));
                    self.outbox.push(Deed::Ack(ticket));
                }
            }
        }
    }

    /// The fleet's orders have changed.
    fn obey(&mut self) {
        self.obeyed = self.orders.borrow_and_update().clone();
        for control in self.standing.changed(&self.obeyed) {
            tracing::info!(lane = %self.parts.config.name, ?control, "ordered");
            self.control(&control);
        }
    }

    fn learn(&mut self, outcome: Result<(), String>) {
        if outcome.is_err() {
            self.identity.refused();
        }
        self.unauthorised = false;
        self.lane.handle_credential(self.now(), outcome);
        // A new credential ends the lane's own pause, never the operator's.
        if self.standing.is_paused() {
            self.control(&Control::Pause);
        }
    }

    fn heard(&mut self, answer: &Answer) {
        let kind = match answer {
            Answer::Failure(failure) => Some(failure.kind),
            Answer::Finished(fates) => fates.iter().find_map(|fate| match fate {
                Fate::Failed(failure) => Some(failure.kind),
                _ => None,
            }),
            Answer::FollowUp(_) => None,
        };
        self.unauthorised = kind == Some(Kind::Auth);
        if !self.unauthorised && !kind.is_some_and(Kind::is_passing) {
            self.identity.works();
        }
    }

    /// Carries out everything the lane wants done. An error says that the lane is lost.
    fn act(&mut self) -> Result<(), BrokerError> {
        while self.outbox.may_call(self.calls)
            && let Some(action) = self.lane.poll_action()
        {
            match action {
                Action::Call(id, call, memo) => self.call(id, call, memo)?,
                Action::Emit(emit, ticket, emission) => {
                    if let Emission::Receipt(receipt) = &emission {
                        self.counted.receipt(ticket, receipt, clock::wall());
                    }
                    let deed = match emission {
                        Emission::DeadLetter(letter) => Deed::DeadLetter(ticket, *letter),
                        Emission::Receipt(receipt) => Deed::Receipt(ticket, *receipt),
                    };
                    self.outbox.emit(emit, deed);
                }
                Action::Mark(ticket, marks) => self.outbox.push(Deed::Mark(ticket, marks)),
                Action::Settle(ticket, Settlement::Done) => {
                    let published = self.published.remove(&ticket);
                    self.counted.settled(ticket, published, clock::wall());
                    self.outbox.push(Deed::Ack(ticket));
                }
                // It is in the queue still, and the next owner of the lane gets it.
                Action::Settle(_, Settlement::Returned) => {}
                Action::Refresh(server_time) => self.identity.ask(server_time),
                Action::Note(note) => {
                    if matches!(note, Note::Paused(..)) && std::mem::take(&mut self.unauthorised) {
                        self.identity.refused();
                    }
                    tell(&self.parts.config.name, &note);
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, id: CallId, call: Call, memo: Option<Memo>) -> Result<(), BrokerError> {
        // The last moment to find out that the lane is somebody else's.
        self.feed.check()?;
        self.calls += 1;
        let Some((held, offset)) = self.identity.now() else {
            let words = "there are no credentials yet";
            let failure = Failure::new(Kind::Auth, Blame::Request, "no_credentials", words);
            self.replies.spawn(async move { (id, Answer::Failure(failure)) });
            return Ok(());
        };
        let (provider, client) = (self.parts.provider.clone(), self.parts.client.clone());
        let timeout = self.parts.config.timeout;
        let tally = Arc::clone(&self.counted.tally);
        tally.counted().credential_ends = held.ends_at().map_or(0.0, |at| at.as_duration().as_secs_f64());
        let span = self.span(id, &call);
        self.replies.spawn(async move {
            let begun = clock::monotonic();
            let wall = clock::wall();
            let at = Moment { now: wall.checked_add(offset).unwrap_or(wall), nonce: clock::nonce() };
            let request = provider.encode(&call, memo.as_ref(), &held.credential, &at);
            spans::goes(&span, request.method.as_str(), &request.url);
            let (status, answer) = match client.send(request, timeout).await {
                Ok(reply) => (Some(reply.status), provider.decode(&call, memo.as_ref(), &reply)),
                Err(fault) => (None, Answer::Failure(Failure::from(fault))),
            };
            let result = result(&answer);
            spans::came(&span, status, result, &answer);
            drop(span);
            tally.answer(result);
            let mut counted = tally.counted();
            counted.spreads.call_seconds.add(clock::monotonic().saturating_duration_since(begun).as_secs_f64());
            counted.spreads.call_resources.add(call.resources.len() as f64);
            drop(counted);
            (id, answer)
        });
        Ok(())
    }

    /// The span of a call that leaves.
    fn span(&self, id: CallId, call: &Call) -> Span {
        if !spans::wanted() {
            return Span::none();
        }
        let Carried { jobs, traces } = self.lane.carried(id);
        let (lane, provider, broker) = (&self.parts.config.name, self.parts.provider.name(), B::SYSTEM);
        spans::leaving(&Leaving { lane, provider, broker, call, jobs, traces: &traces })
    }

    fn show(&mut self, mut status: Status) {
        if self.active && self.now() >= self.away && self.feed.check().is_ok() {
            self.parts.tenure.is_free(clock::monotonic());
        }
        let full = status.full || (status.waits && self.feed.is_full());
        let stuck = full && status.waiting > 0 && status.paused.is_none() && !status.outage;
        if stuck && !self.stuck {
            let (lane, messages) = (&self.parts.config.name, status.jobs);
            tracing::warn!(%lane, messages, "it is full of work that waits for a retry, and takes no more until some of it is done");
        }
        self.stuck = full && (stuck || self.stuck);
        let oldest = match self.published.values().next() {
            Some(at) => Some(*at),
            None => status.oldest.and_then(|at| self.epoch.checked_add(SignedDuration::try_from(at).ok()?).ok()),
        };
        status.counts.limited = self.lane.limited(self.now());
        status.counts.add(&self.earlier);
        self.counted.done(&status.counts);
        self.parts.board.show(status, self.active, oldest, full);
    }
}

/// The next deliveries: any, while there is room for any.
async fn handed<F: Feed>(feed: &mut F, room: usize, urgent: usize) -> Result<Vec<Delivery>, BrokerError> {
    if room > 0 { feed.next(room).await } else { feed.next_urgent(urgent).await }
}

/// When to form the first call at the latest. A queue of our own is read to its end, so that a plan of all of it is kept.
fn filled_by<B: Broker>() -> TimerInstant {
    TimerInstant::now() + if B::REMEMBERS_MARKS { Duration::from_hours(1) } else { FILLED_BY }
}

/// Resolves once the worker is told to stop.
pub(super) async fn told_to(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is there any more who could.
        std::future::pending::<()>().await;
    }
}

async fn until(started: Instant, deadline: Option<Now>) {
    match deadline {
        Some(at) => tokio::time::sleep_until((started + at).into()).await,
        None => std::future::pending().await,
    }
}
