//! Every input and every action of a lane: the protocol of the machine on one page.

use super::cause::Cause;
use crate::{
    call::{Call, Memo},
    job::{DeadLetter, ItemFailure, Job, JobId, LaneName, Mark, Receipt, Resource, Ticket, Trace},
    plan::Caps,
};
use jiff::Timestamp;
use std::{borrow::Cow, fmt::Debug, sync::Arc, time::Duration};

/// Time since the lane's epoch. It never goes back.
pub type Now = Duration;

/// What a lane is told about itself when it is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name.
    pub name: LaneName,
    /// What one call may carry.
    pub caps: Caps,
    /// Calls a second at most; may be below one.
    pub per_second: f64,
    /// Calls that may leave at once after a quiet while.
    pub burst: u32,
    /// Calls in flight at most.
    pub concurrency: usize,
    /// Attempts an item has.
    pub max_attempts: u32,
    /// Time an item has from its first attempt, pauses not counted.
    pub give_up_after: Duration,
    /// Items held at most; above it the lane asks for no more.
    pub capacity: usize,
    /// Seed of the waits' jitter.
    pub seed: u64,
    /// The wall clock at time zero, for documents.
    pub epoch: Timestamp,
    /// Whether the broker remembers [`Action::Mark`] over a crash. Where it does not, an unsettled job comes back whole,
    /// so a job is settled only after every earlier one that shares a resource with it.
    pub marks: bool,
}

/// The part of its settings that a lane can change while it works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Calls a second at most; may be below one.
    pub per_second: f64,
    /// Calls that may leave at once after a quiet while.
    pub burst: u32,
    /// Calls in flight at most.
    pub concurrency: usize,
    /// Attempts an item has.
    pub max_attempts: u32,
    /// Time an item has from its first attempt, pauses not counted.
    pub give_up_after: Duration,
}

/// How resources and keys are told apart. The provider knows; the lane only asks.
pub trait Naming: Debug + Send + Sync {
    /// Two spellings of one resource give the same text.
    fn resource_key(&self, resource: &Resource) -> String;
    /// Resources may share a call only when this text is equal.
    fn share_key(&self, resource: &Resource) -> String;
    /// The identity of a tag key.
    fn fold_key<'k>(&self, key: &'k str) -> Cow<'k, str>;
}

/// One job for the lane, with what is known of its items already.
#[derive(Clone, Debug)]
pub struct Work {
    /// To be settled exactly once.
    pub ticket: Ticket,
    /// The job.
    pub job: Job,
    /// The line of the file it came from.
    pub line: Option<u64>,
    /// Items that are final already: done before a restart, or refused before anything was sent.
    pub finals: Vec<(u32, Mark)>,
}

impl Work {
    /// A job none of whose items is final yet.
    pub fn fresh(ticket: Ticket, job: Job) -> Self {
        Self { ticket, job, line: None, finals: Vec::new() }
    }
}

/// Names one call while it is in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// Names one document until the broker has confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EmitId(pub u64);

/// A document to be published before its job may be settled.
#[derive(Clone, Debug, PartialEq)]
pub enum Emission {
    /// The failed items of a job, or a part of them.
    DeadLetter(Box<DeadLetter>),
    /// The job's summary.
    Receipt(Box<Receipt>),
}

/// How a ticket is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Every item is final and every document confirmed: ack.
    Done,
    /// Not finished: it stays in the queue for the next owner.
    Returned,
}

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send this request; answer with `handle_reply`.
    Call(CallId, Call, Option<Memo>),
    /// Publish this; answer with `handle_confirm`.
    Emit(EmitId, Ticket, Emission),
    /// Remember these items. It comes only with [`Settings::marks`].
    Mark(Ticket, Vec<(u32, Mark)>),
    /// Answer the ticket. It comes exactly once per ticket.
    Settle(Ticket, Settlement),
    /// Get a new credential; answer with `handle_credential`. The time is the cloud's, when it says that our clock is off.
    Refresh(Option<Timestamp>),
    /// Tell the operator.
    Note(Note),
}

/// What an operator wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The cloud said: too fast. The lane stays away this long.
    Throttled(Duration, Refused),
    /// Nothing but transient failures: single probes from now on. Why, and the request that was the last of them.
    OutageBegan(String, Option<String>),
    /// A probe was answered.
    OutageEnded,
    /// The lane makes no calls until somebody does something. What, and the request that said so.
    Paused(String, Option<String>),
    /// It goes on.
    Resumed,
    /// A call failed in a way that is tried again, as it was or in parts.
    Retrying(Refused),
    /// An item failed for good.
    Dead(Dead),
}

/// A call that failed, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The provider's code, or ours.
    pub code: String,
    /// The provider's id of the request.
    pub request_id: Option<String>,
}

/// An item that failed for good, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// Its job.
    pub job: JobId,
    /// The trace of the job.
    pub trace: Option<Trace>,
    /// What failed.
    pub failure: ItemFailure,
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// No calls until `Resume`.
    Pause,
    /// End a pause, the lane's own included.
    Resume,
    /// No new calls; answer every ticket.
    Drain,
    /// What has not been sent is dead with `cancelled`.
    Cancel(Cancel),
}

/// Which jobs are cancelled, of those that the lane holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Every one.
    All,
    /// The one with this id.
    Job(JobId),
    /// Those that were submitted in this batch.
    Batch(Arc<str>),
}

/// Calls by outcome since the lane was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that left.
    pub calls: u64,
    /// Of those, answered with a throttle.
    pub throttled: u64,
    /// Of those, sent again after a failure.
    pub retries: u64,
    /// Items tagged.
    pub tagged: u64,
    /// Items unchanged.
    pub unchanged: u64,
    /// Items dead.
    pub dead: u64,
    /// Of those, how many of each cause, in the order of [`Cause::ALL`].
    pub causes: [u64; Cause::ALL.len()],
    /// Calls that jobs would have made alone, less those they made together: see [`Caps::alone`].
    pub saved: u64,
    /// How long calls that were ready have waited for the rate limit.
    pub limited: Duration,
}

impl Counts {
    /// One more item is dead.
    pub(super) fn buried(&mut self, cause: Cause) {
        let known = Cause::ALL.iter().zip(&mut self.causes).find(|(known, _)| **known == cause);
        if let Some((_, count)) = known {
            *count += 1;
        }
    }

    /// These and others together.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.throttled += other.throttled;
        self.retries += other.retries;
        self.tagged += other.tagged;
        self.unchanged += other.unchanged;
        self.dead += other.dead;
        self.saved += other.saved;
        self.limited += other.limited;
        for (count, more) in self.causes.iter_mut().zip(other.causes) {
            *count += more;
        }
    }
}

/// What a request is to the work in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The first for these keys of these resources.
    First,
    /// The same once more after a failure, or a part of it.
    Again,
    /// What an answer asked for.
    FollowUp,
}

/// A lane at a glance. The default is that of a lane that is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// Items that are not final.
    pub pending: usize,
    /// Keys of those items that have not been carried out: progress, finer than items.
    pub keys_left: u64,
    /// Calls that wait for a reply.
    pub in_flight: usize,
    /// Items that wait for a retry.
    pub waiting: usize,
    /// Jobs that are not settled.
    pub jobs: usize,
    /// Of those, jobs whose items are all final and that only wait for an earlier job of the same resource.
    pub held: usize,
    /// When the oldest of the jobs was taken on.
    pub oldest: Option<Now>,
    /// There is work, and all of it waits for a retry, the end of an outage, or a pause.
    pub waits: bool,
    /// The lane has no room for more work, and all it holds waits.
    pub full: bool,
    /// Calls a second at the moment.
    pub rate: f64,
    /// Calls a second at most, as configured.
    pub ceiling: f64,
    /// Why the lane makes no calls, when somebody must act.
    pub paused: Option<String>,
    /// An operator paused it, whatever else is the matter.
    pub ordered: bool,
    /// Probing an outage.
    pub outage: bool,
    /// What has been counted.
    pub counts: Counts,
}
