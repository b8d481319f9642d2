//! The task of one lane: one input, all its actions, then sleep until something happens.

use super::{
    CAPACITY, Client, LaneView, WorkerError, caps, clock,
    credentials::{Held, Keeper},
    naming::Names,
    work,
};
use crate::{
    broker::{Broker, BrokerError, CallCounts, Deed, Delivery, Feed},
    call::{Answer, Blame, Call, Failure, Kind, Memo, Moment},
    config::{LaneConfig, Mode},
    job::LaneName,
    lane::{Action, CallId, Control, Counts, Emission, EmitId, Lane, Note, Now, Settings, Settlement},
    provider::Provider,
};
use jiff::{SignedDuration, Timestamp};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration, time::Instant};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Items taken from the broker at a time; one message always fits.
const DELIVERIES: usize = 1000;

/// Calls that may stay uncounted while nothing is settled: a crash loses that many from the ledger.
const UNCOUNTED: u64 = 20;

/// Deeds that wait for the broker before no more work is taken.
const DEEDS: usize = 20_000;

/// How long a lane that starts waits for more work before it sends what it has.
const FILLING: Duration = Duration::from_millis(20);

type Commit = Pin<Box<dyn Future<Output = Result<(), BrokerError>> + Send>>;

/// A lane, its feed, and everything that is on its way.
pub(super) struct LaneTask<B: Broker> {
    name: LaneName,
    broker: B,
    feed: B::Feed,
    provider: Arc<dyn Provider>,
    client: Client,
    timeout: Duration,
    observe: bool,
    keeper: Keeper,
    held: Option<Arc<Held>>,
    /// The refresh on its way is an early one: the credential at hand still works.
    early: bool,
    /// The cloud's clock less ours, once it has complained.
    offset: SignedDuration,
    lane: Lane,
    started: Instant,
    view: watch::Sender<LaneView>,
    replies: JoinSet<(CallId, Answer)>,
    refresh: JoinSet<Result<Arc<Held>, String>>,
    deeds: Vec<Deed>,
    emits: Vec<EmitId>,
    /// The commit on its way, and the documents in it. One at a time keeps the deeds in order.
    committing: Option<(Vec<EmitId>, Commit)>,
    counted: Counts,
}

impl<B: Broker> LaneTask<B> {
    pub(super) fn new(
        config: &LaneConfig,
        provider: Arc<dyn Provider>,
        broker: B,
        feed: B::Feed,
        client: Client,
        keeper: Keeper,
    ) -> Self {
        let settings = Settings {
            name: config.name.clone(),
            caps: caps(provider.limits()),
            per_second: config.rate.per_second,
            burst: config.rate.burst,
            concurrency: config.concurrency,
            max_attempts: config.retry.max_attempts,
            give_up_after: config.retry.give_up_after,
            capacity: CAPACITY,
            seed: clock::seed(),
            epoch: clock::wall(),
        };
        let mut lane = Lane::new(settings, Box::new(Names(provider.clone())), Now::ZERO);
        let settle = provider.settles().saturating_sub(broker.last_owner().unwrap_or_default());
        if !settle.is_zero() {
            tracing::info!(lane = %config.name, ?settle, "waits until every read shows what an earlier owner wrote");
            lane.stay_away(settle);
        }
        let view = LaneView { name: config.name.clone(), status: lane.status(), finished: false };
        Self {
            name: config.name.clone(),
            broker,
            feed,
            provider,
            keeper,
            client,
            timeout: config.timeout,
            observe: config.mode == Mode::Observe,
            held: None,
            early: false,
            offset: SignedDuration::ZERO,
            lane,
            started: clock::monotonic(),
            view: watch::Sender::new(view),
            replies: JoinSet::new(),
            refresh: JoinSet::new(),
            deeds: Vec::new(),
            emits: Vec::new(),
            committing: None,
            counted: Counts::default(),
        }
    }

    pub(super) fn view(&self) -> watch::Receiver<LaneView> {
        self.view.subscribe()
    }

    fn now(&self) -> Now {
        clock::monotonic().saturating_duration_since(self.started)
    }

    /// Works until the feed is exhausted and everything is settled, or a drain is done.
    pub(super) async fn run(mut self, mut controls: mpsc::UnboundedReceiver<Control>) -> Result<(), WorkerError> {
        if self.observe {
            let why = "mode: observe; it plans and sends nothing (see `tagmill plan`)".to_owned();
            self.lane.handle_credential(self.now(), Err(why));
        } else {
            // The lane calls nobody before it knows who it is.
            let first = match self.keeper.last() {
                Some(held) => Ok(held),
                None => self.keeper.clone().fetch().await,
            };
            self.learn(first);
        }
        // What is in the queue already is planned together: the first call is formed from all of it.
        while !self.feed.is_exhausted() && self.room() > 0 {
            // A queue that has nothing more right now must not hold up what is here.
            let Ok(found) = tokio::time::timeout(FILLING, self.feed.next(self.room())).await else { break };
            self.take(found?);
        }
        let mut draining = false;
        loop {
            self.act();
            self.commit();
            self.publish_view(false);
            let settled = self.committing.is_none() && self.deeds.is_empty();
            if settled && (self.lane.is_drained() || (self.lane.is_idle() && self.feed.is_exhausted())) {
                // Calls that settled nothing, as before a pause, are calls all the same.
                self.count();
                if self.deeds.is_empty() {
                    break;
                }
                continue;
            }
            let room = self.room();
            let deadline = self.lane.poll_deadline();
            let renew = self.held.as_ref().and_then(|held| held.renew_at);
            tokio::select! {
                Some(reply) = self.replies.join_next() => {
                    let (id, answer) = reply.map_err(|error| WorkerError::Task(error.to_string()))?;
                    self.lane.handle_reply(self.now(), id, answer);
                }
                done = wait_for(&mut self.committing) => self.committed(done)?,
                Some(control) = controls.recv() => {
                    draining |= control == Control::Drain;
                    self.lane.handle_control(self.now(), &control);
                }
                Some(held) = self.refresh.join_next() => {
                    let held = held.unwrap_or_else(|error| Err(error.to_string()));
                    match held {
                        Err(why) if self.early => self.renew_later(&why),
                        held => self.learn(held),
                    }
                    self.early = false;
                }
                found = self.feed.next(room), if room > 0 && !draining && !self.feed.is_exhausted() => {
                    self.take(found?);
                }
                () = until(self.started, deadline) => self.lane.handle_timeout(self.now()),
                () = until_wall(renew), if self.refresh.is_empty() => {
                    if let Some(held) = &mut self.held {
                        Arc::make_mut(held).renew_at = None;
                    }
                    self.early = true;
                    self.refresh.spawn(self.keeper.clone().fetch());
                }
            }
        }
        self.publish_view(true);
        Ok(())
    }

    /// How many items to ask for: what the lane has room for, while the broker keeps up with what is final.
    fn room(&self) -> usize {
        if self.deeds.len() > DEEDS { 0 } else { self.lane.room().min(DELIVERIES) }
    }

    /// The credential still works; if it stops to before the next try, the cloud will say so.
    fn renew_later(&mut self, why: &str) {
        tracing::warn!(lane = %self.name, %why, "the credential could not be renewed early; tried again in a minute");
        if let Some(held) = &mut self.held {
            Arc::make_mut(held).renew_at = clock::wall().checked_add(SignedDuration::from_mins(1)).ok();
        }
    }

    fn learn(&mut self, outcome: Result<Arc<Held>, String>) {
        let now = self.now();
        match outcome {
            Ok(held) => {
                self.held = Some(held);
                self.lane.handle_credential(now, Ok(()));
            }
            Err(why) => self.lane.handle_credential(now, Err(why)),
        }
    }

    fn take(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            let ticket = delivery.ticket;
            match work::read(delivery, &self.name, &*self.provider) {
                Ok(work) => self.lane.handle_job(self.now(), &work),
                Err(raw) => {
                    tracing::warn!(lane = %self.name, why = %raw.message, "a message is no job; it is dead-lettered");
                    self.deeds.push(Deed::RawDeadLetter(ticket, *raw));
                    self.deeds.push(Deed::Ack(ticket));
                }
            }
        }
    }

    /// Carries out everything the lane wants done.
    fn act(&mut self) {
        while let Some(action) = self.lane.poll_action() {
            match action {
                Action::Call(id, call, memo) => self.call(id, call, memo),
                Action::Emit(emit, ticket, emission) => {
                    self.emits.push(emit);
                    self.deeds.push(match emission {
                        Emission::DeadLetter(letter) => Deed::DeadLetter(ticket, *letter),
                        Emission::Receipt(receipt) => Deed::Receipt(ticket, *receipt),
                    });
                }
                Action::Mark(ticket, marks) => self.deeds.push(Deed::Mark(ticket, marks)),
                Action::Settle(ticket, Settlement::Done) => self.deeds.push(Deed::Ack(ticket)),
                // It is in the queue still, and the next owner of the lane gets it.
                Action::Settle(_, Settlement::Returned) => {}
                Action::Refresh(server_time) => self.refresh_now(server_time),
                Action::Note(note) => tell(&self.name, &note),
            }
        }
    }

    fn refresh_now(&mut self, server_time: Option<Timestamp>) {
        self.early = false;
        if let Some(theirs) = server_time {
            self.offset = theirs.duration_since(clock::wall());
            tracing::warn!(lane = %self.name, offset = %self.offset, "our clock is off; the cloud's time is used");
        }
        self.refresh.spawn(self.keeper.clone().fetch());
    }

    fn call(&mut self, id: CallId, call: Call, memo: Option<Memo>) {
        let (provider, client, timeout) = (self.provider.clone(), self.client.clone(), self.timeout);
        let Some(held) = self.held.clone() else {
            let words = "there are no credentials yet";
            let failure = Failure::new(Kind::Auth, Blame::Request, "no_credentials", words);
            self.replies.spawn(async move { (id, Answer::Failure(failure)) });
            return;
        };
        let offset = self.offset;
        self.replies.spawn(async move {
            let wall = clock::wall();
            let at = Moment { now: wall.checked_add(offset).unwrap_or(wall), nonce: clock::nonce() };
            let request = provider.encode(&call, memo.as_ref(), &held.credential, &at);
            let answer = match client.send(request, timeout).await {
                Ok(reply) => provider.decode(&call, memo.as_ref(), &reply),
                Err(fault) => Answer::Failure(Failure::from(fault)),
            };
            (id, answer)
        });
    }

    /// Hands the deeds so far to the broker, unless a commit is on its way: then they go with the next.
    fn commit(&mut self) {
        let nothing = self.deeds.is_empty() && self.uncounted().calls < UNCOUNTED;
        if self.committing.is_some() || nothing {
            return;
        }
        self.count();
        let (deeds, broker) = (std::mem::take(&mut self.deeds), self.broker.clone());
        let commit: Commit = Box::pin(async move { broker.commit(deeds).await });
        self.committing = Some((std::mem::take(&mut self.emits), commit));
    }

    /// The calls since the last commit: they go first, because an ack may end the run they belong to.
    fn count(&mut self) {
        let new = self.uncounted();
        if new != CallCounts::default() {
            self.deeds.insert(0, Deed::Count(self.name.clone(), new));
            self.counted = self.lane.status().counts;
        }
    }

    fn uncounted(&self) -> CallCounts {
        let counts = self.lane.status().counts;
        CallCounts {
            calls: counts.calls - self.counted.calls,
            throttled: counts.throttled - self.counted.throttled,
            retries: counts.retries - self.counted.retries,
        }
    }

    fn committed(&mut self, done: (Vec<EmitId>, Result<(), BrokerError>)) -> Result<(), WorkerError> {
        let (emits, outcome) = done;
        // A store that cannot be written stops the worker: nothing is acked, nothing is lost.
        outcome?;
        let now = self.now();
        for emit in emits {
            self.lane.handle_confirm(now, emit, true);
        }
        Ok(())
    }

    fn publish_view(&self, finished: bool) {
        let status = self.lane.status();
        self.view.send_if_modified(|view| {
            let changed = view.status != status || view.finished != finished;
            if changed {
                view.status = status;
                view.finished = finished;
            }
            changed
        });
    }
}

impl<B: Broker> Drop for LaneTask<B> {
    fn drop(&mut self) {
        // Whoever watches must not wait for a lane that is gone.
        self.publish_view(true);
    }
}

async fn wait_for(committing: &mut Option<(Vec<EmitId>, Commit)>) -> (Vec<EmitId>, Result<(), BrokerError>) {
    let Some((emits, commit)) = committing else { return std::future::pending().await };
    let outcome = commit.await;
    let emits = std::mem::take(emits);
    *committing = None;
    (emits, outcome)
}

async fn until(started: Instant, deadline: Option<Now>) {
    match deadline {
        Some(at) => tokio::time::sleep_until((started + at).into()).await,
        None => std::future::pending().await,
    }
}

async fn until_wall(at: Option<Timestamp>) {
    match at.map(|at| at.duration_since(clock::wall())) {
        Some(wait) => tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}

/// One log event a failure, where it is handled. Codes and request ids, never a tag value.
fn tell(lane: &LaneName, note: &Note) {
    match note {
        Note::Throttled(hold) => tracing::info!(%lane, ?hold, "throttled"),
        Note::OutageBegan(why) => tracing::warn!(%lane, %why, "outage"),
        Note::OutageEnded => tracing::warn!(%lane, "the outage is over"),
        Note::Paused(why) => tracing::error!(%lane, %why, "paused"),
        Note::Resumed => tracing::info!(%lane, "resumed"),
        Note::Retrying(code, request) => tracing::debug!(%lane, %code, request, "a call failed and is tried again"),
        Note::Dead(failure) => tracing::info!(
            %lane, resource = %failure.resource.id, code = %failure.code, request = failure.request_id,
            attempts = failure.attempts, "dead"
        ),
    }
}
