//! What all requests share.

use super::{auth::Guard, certificates::Certificates, recent::Recent, tally::Tally};
use crate::{
    broker::rabbitmq::Publisher,
    config::{Broker, Config, Server},
    event::{LaneFacts, Rules, Seen, signature::Expected},
    fleet::look::Snapshot,
    telemetry::{LaneNow, Metrics},
    worker::Readiness,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::{Semaphore, watch};

/// Whether the process can do its work.
pub type IsReady = Arc<dyn Fn() -> Ready + Send + Sync>;

/// How the lanes of this process are.
pub type LanesNow = Arc<dyn Fn() -> Vec<LaneNow> + Send + Sync>;

/// The answer to `/readyz` and `/startupz`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// It can.
    pub ready: bool,
    /// It has been able to at least once, or is about to for the first time.
    pub started: bool,
    /// How it is, in words.
    pub text: String,
}

impl Ready {
    /// As a worker says it.
    pub fn of(readiness: &Readiness, started: bool) -> Self {
        let ready = matches!(readiness, Readiness::Ready);
        Self { ready, started: started || ready, text: readiness.to_string() }
    }
}

/// A look at the fleet, and when it was taken.
pub(super) type Look = Option<(Instant, Arc<Snapshot>)>;

/// What all requests share. Handlers get it in an [`Arc`].
pub(super) struct State {
    pub(super) server: Server,
    pub(super) broker: Broker,
    pub(super) lanes: Vec<LaneFacts>,
    pub(super) rules: Arc<Rules>,
    pub(super) guard: Guard,
    pub(super) publisher: Publisher,
    pub(super) names: crate::broker::rabbitmq::Names,
    pub(super) seen: Mutex<Seen>,
    pub(super) tally: Tally,
    pub(super) recent: Recent,
    pub(super) certificates: Certificates,
    /// How Alibaba Cloud's events are known, where that is checked.
    pub(super) expected: Option<(Expected, String)>,
    pub(super) is_ready: IsReady,
    pub(super) metrics: Metrics,
    /// How the lanes of this process are; none in a process that works on none.
    pub(super) lanes_now: LanesNow,
    /// A message of events can take a hundred times its size while it is read: only so many at once.
    pub(super) reading: Semaphore,
    /// The lanes of the config have their queues.
    pub(super) at_home: watch::Receiver<bool>,
    pub(super) room: Arc<Semaphore>,
    /// The last look at the fleet; the lock is held while one is taken, so that many who ask cost one.
    pub(super) look: tokio::sync::Mutex<Look>,
    /// How backlogs have shrunk, and since when that is watched.
    pub(super) pace: Mutex<(Instant, crate::fleet::eta::Pace)>,
    /// One at a time works on the dead letters.
    pub(super) desk: tokio::sync::Mutex<()>,
    pub(super) stop: watch::Receiver<bool>,
}

impl State {
    /// The window of events that were taken.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lanes of a config as events and looks need them.
pub(super) fn facts(config: &Config) -> Vec<LaneFacts> {
    config.lanes.iter().map(crate::config::LaneConfig::facts).collect()
}
