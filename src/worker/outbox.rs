//! What waits for the broker: deeds in order, one commit at a time, and the calls that no commit has counted yet.

use crate::{
    broker::{Broker, BrokerError, CallCounts, Deed},
    job::LaneName,
    lane::{Counts, EmitId},
};
use std::{future::Future, pin::Pin};

/// Calls that are counted before anything is settled: a commit of their own.
const UNCOUNTED: u64 = 20;

/// Calls that a crash may lose the count of, however long a commit takes: beyond them calls wait for it.
const UNSAFE: u64 = 50;

/// Deeds that wait for the broker before no more work is taken.
const DEEDS: usize = 20_000;

type Commit = Pin<Box<dyn Future<Output = Result<(), BrokerError>> + Send>>;

/// A commit on its way.
struct Batch {
    emits: Vec<EmitId>,
    /// Calls that are counted for good once it is done.
    calls: u64,
    commit: Commit,
}

/// The deeds of one lane on their way to the broker. One commit at a time keeps them in order.
pub(super) struct Outbox<B> {
    lane: LaneName,
    broker: B,
    deeds: Vec<Deed>,
    emits: Vec<EmitId>,
    on_its_way: Option<Batch>,
    /// Counted by a commit, done or on its way.
    counted: Counts,
    /// Calls counted by a commit that is done.
    safe: u64,
}

impl<B: Broker> Outbox<B> {
    pub(super) fn new(lane: LaneName, broker: B) -> Self {
        Self {
            lane,
            broker,
            deeds: Vec::new(),
            emits: Vec::new(),
            on_its_way: None,
            counted: Counts::default(),
            safe: 0,
        }
    }

    /// The broker they go to.
    pub(super) fn broker(&self) -> &B {
        &self.broker
    }

    pub(super) fn push(&mut self, deed: Deed) {
        self.deeds.push(deed);
    }

    /// A document that its job waits for.
    pub(super) fn emit(&mut self, emit: EmitId, deed: Deed) {
        self.emits.push(emit);
        self.deeds.push(deed);
    }

    /// The broker does not keep up with what is final.
    pub(super) fn is_behind(&self) -> bool {
        self.deeds.len() > DEEDS
    }

    /// Nothing waits and nothing is on its way.
    pub(super) fn is_settled(&self) -> bool {
        self.on_its_way.is_none() && self.deeds.is_empty()
    }

    /// Whether a call more may leave, of which so many have: a ledger that survives a crash must not miss many.
    pub(super) fn may_call(&self, calls: u64) -> bool {
        !B::REMEMBERS_MARKS || calls.saturating_sub(self.safe) < UNSAFE
    }

    /// Hands the deeds so far to the broker, unless a commit is on its way: then they go with the next.
    pub(super) fn start(&mut self, counts: Counts) {
        let nothing = self.deeds.is_empty() && counts.calls.saturating_sub(self.counted.calls) < UNCOUNTED;
        if self.on_its_way.is_some() || nothing {
            return;
        }
        self.count(counts);
        let (deeds, broker) = (std::mem::take(&mut self.deeds), self.broker.clone());
        let commit: Commit = Box::pin(async move { broker.commit(deeds).await });
        let (emits, calls) = (std::mem::take(&mut self.emits), self.counted.calls);
        self.on_its_way = Some(Batch { emits, calls, commit });
    }

    /// The calls since the last commit: they go first, because an ack may end the run they belong to.
    pub(super) fn count(&mut self, counts: Counts) {
        let new = CallCounts {
            calls: counts.calls.saturating_sub(self.counted.calls),
            throttled: counts.throttled.saturating_sub(self.counted.throttled),
            retries: counts.retries.saturating_sub(self.counted.retries),
        };
        if new != CallCounts::default() {
            self.deeds.insert(0, Deed::Count(self.lane.clone(), new));
            self.counted = counts;
        }
    }

    /// Waits for the commit on its way: its documents, and how it went. Without one it waits for ever.
    pub(super) async fn committed(&mut self) -> (Vec<EmitId>, Result<(), BrokerError>) {
        let Some(batch) = &mut self.on_its_way else { return std::future::pending().await };
        let outcome = batch.commit.as_mut().await;
        let emits = std::mem::take(&mut batch.emits);
        if outcome.is_ok() {
            self.safe = batch.calls;
        }
        self.on_its_way = None;
        (emits, outcome)
    }
}
