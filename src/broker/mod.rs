//! Where jobs come from and answers go: one small interface, two implementations, one behaviour suite.

pub mod embedded;
pub mod rabbitmq;

mod again;
mod dead;
mod orders;

pub use crate::job::{Mark, Ticket};
pub use dead::{DeadCount, DeadEntry, DeadFilter, Pick, StoredDead, age};
pub use orders::{CancelOrder, Orders};

use crate::job::{DeadLetter, LaneName, Receipt, Trace};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::sync::watch;

/// One message as the broker hands it over.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// To be acked once everything the message asked for is final and recorded.
    pub ticket: Ticket,
    /// The message's name: the same when it is handed out again, whoever gets it. Ids of documents are made of it.
    pub id: Arc<str>,
    /// The message, byte for byte.
    pub body: Vec<u8>,
    /// Line of the file it came from.
    pub line: Option<u64>,
    /// Items that were final before a crash: their index in the job, and what they came to.
    pub marks: Vec<(u32, Mark)>,
    /// When it was published, where the broker knows: stands for a missing `created_at` and does not move at a
    /// redelivery.
    pub published_at: Option<Timestamp>,
    /// The trace that the message belongs to.
    pub trace: Option<Trace>,
}

/// A message that is no job: dead-lettered byte for byte, with the reason beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDeadLetter {
    /// Stable over crashes.
    pub id: String,
    /// The lane, where it could be read.
    pub lane: Option<LaneName>,
    /// `invalid`, `unknown_lane`, ...
    pub code: String,
    /// What was wrong, field by field; at most 4 KB.
    pub message: String,
    /// Where it came from, such as `csv:servers.csv`.
    pub source: Option<String>,
    /// The line of that file.
    pub line: Option<u64>,
    /// The message itself.
    pub body: Vec<u8>,
}

/// Calls made, by outcome; added up over a run. A crash may lose the last few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCounts {
    /// Every HTTP request to a tagging API.
    pub calls: u64,
    /// Of those, answered with a throttle.
    pub throttled: u64,
    /// Of those, sent again after an earlier failure.
    pub retries: u64,
}

/// One thing to record.
#[derive(Clone, Debug)]
pub enum Deed {
    /// Publish the failed items of a job.
    DeadLetter(Ticket, DeadLetter),
    /// Publish a message that is no job.
    RawDeadLetter(Ticket, RawDeadLetter),
    /// Publish the summary of a finished job.
    Receipt(Ticket, Receipt),
    /// Remember items that are final while their job is not.
    Mark(Ticket, Vec<(u32, Mark)>),
    /// Add to the counts of the lane's run.
    Count(LaneName, CallCounts),
    /// The message is done. Only ever recorded after its dead letter and receipt were confirmed.
    Ack(Ticket),
}

/// Why the broker could not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// Another process works on the same state.
    #[error("{0}")]
    InUse(String),
    /// The store is damaged, full or not writable; the text says which and what to do.
    #[error("{0}")]
    Storage(String),
    /// The lane may belong to somebody else now: forget its tickets and open it anew.
    #[error("lane {0} is lost: {1}")]
    LaneLost(LaneName, String),
    /// The broker cannot be reached, or does not answer in time; the text says where and why. Worth another try.
    #[error("{0}")]
    Unavailable(String),
    /// The broker refuses what we ask for: a permission is missing, or an object is there with other arguments. No try
    /// will change that.
    #[error("{0}")]
    Refused(String),
}

/// The deliveries of one lane, in order, to one owner.
pub trait Feed: Send {
    /// Waits for at least one delivery and hands over at most `most` items; one message always fits, however many it
    /// has. A message that is no job counts as one item at least. Dropping the future loses nothing.
    fn next(&mut self, most: usize) -> impl Future<Output = Result<Vec<Delivery>, BrokerError>> + Send;

    /// The same, of urgent jobs alone, for an owner that has room for no others. Waits for ever where they have no way of
    /// their own.
    fn next_urgent(&mut self, most: usize) -> impl Future<Output = Result<Vec<Delivery>, BrokerError>> + Send {
        let _ = most;
        std::future::pending()
    }

    /// True when nothing is left to hand over and nothing more will come by itself (never on a network broker).
    fn is_exhausted(&self) -> bool;

    /// Asked right before every provider call: an error says that the lane may be somebody else's, so that the call must
    /// not be made.
    fn check(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    /// Whether the owner holds as much as it may: nothing more is handed over before a ticket is acked. False where only
    /// `most` bounds it.
    fn is_full(&self) -> bool {
        false
    }

    /// Why the lane shall be ended in good order (drain, settle, drop the feed) and opened again: a better owner waits,
    /// or its window has to be another one.
    fn wants_reopening(&self) -> Option<&'static str> {
        None
    }

    /// Ends the lane: every ticket that was not acked is free for the next owner when this returns. Dropping the feed
    /// does the same without waiting for it.
    fn close(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async { drop(self) }
    }
}

/// A queue per lane, a place for dead letters, a place for receipts.
pub trait Broker: Clone + Send + Sync + 'static {
    /// The deliveries of one lane.
    type Feed: Feed;

    /// Whether it remembers marks over a crash. Where it does not, an unsettled message comes back whole.
    const REMEMBERS_MARKS: bool;

    /// What kind of broker it is, for spans: the name that OpenTelemetry has for it.
    const SYSTEM: &'static str = "tagmill";

    /// What operators want of the lanes: the present state, and every change of it.
    fn orders(&self) -> watch::Receiver<Arc<Orders>>;

    /// How long ago an earlier owner of a lane may have finished its last work. `None` where nobody knows: a moment ago.
    fn last_owner(&self) -> Option<Duration> {
        None
    }

    /// Opens a lane: unacked messages of earlier owners come first, in their order. Returns only when the orders are
    /// known, so that a paused lane makes no call.
    fn open_lane(&self, lane: &LaneName) -> impl Future<Output = Result<Self::Feed, BrokerError>> + Send;

    /// Records deeds in order: an ack only when everything before it is safe. `Ok` means they survive a crash; after an
    /// error they may have been recorded or not, and recording them again does no harm.
    fn commit(&self, deeds: Vec<Deed>) -> impl Future<Output = Result<(), BrokerError>> + Send;
}
