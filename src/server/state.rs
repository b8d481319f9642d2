//! What all requests share.

use super::{NoServer, auth::Guard, certificates::Certificates, recent::Recent, tally::Tally};
use crate::{
    broker::rabbitmq::Publisher,
    config::{Broker, Config, SecretError, Server},
    event::{LaneFacts, Rules, Seen, signature::Expected},
    fleet::look::Snapshot,
    telemetry::{LaneNow, Metrics},
    worker::Readiness,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
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
    /// What follows the config.
    pub(super) live: RwLock<Arc<Live>>,
    pub(super) publisher: Publisher,
    pub(super) names: crate::broker::rabbitmq::Names,
    pub(super) seen: Mutex<Seen>,
    pub(super) tally: Tally,
    pub(super) recent: Recent,
    pub(super) certificates: Certificates,
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

/// What follows the config of a worker that runs.
pub(super) struct Live {
    pub(super) lanes: Vec<LaneFacts>,
    pub(super) rules: Arc<Rules>,
    pub(super) guard: Guard,
    /// How Alibaba Cloud's events are known, where that is checked.
    pub(super) expected: Option<(Expected, String)>,
}

impl Live {
    /// What a config says. A secret that cannot be had is an error.
    pub(super) fn of(config: &Config) -> Result<Self, NoServer> {
        let secret = |field| move |error: SecretError| NoServer::Secret { field, why: error.to_string() };
        let server = config.server.clone().unwrap_or_default();
        Ok(Self {
            lanes: config.lanes.iter().map(crate::config::LaneConfig::facts).collect(),
            rules: Arc::clone(&config.rules),
            guard: Guard::new(&server).map_err(secret("server.tokens"))?,
            expected: expected(config).map_err(secret("events.alibaba.token"))?,
        })
    }
}

/// What events of Alibaba Cloud have to show, where that is checked.
fn expected(config: &Config) -> Result<Option<(Expected, String)>, SecretError> {
    let alibaba = &config.events.alibaba;
    let Some(url) = alibaba.url.clone().filter(|_| alibaba.verify) else { return Ok(None) };
    let env = |name: &str| std::env::var(name).ok();
    let token = alibaba.token.as_ref().map(|token| token.resolve(&env)).transpose()?;
    let token = token.as_ref().map(secrecy::ExposeSecret::expose_secret);
    Ok(Some((Expected::new(&alibaba.regions, token), url)))
}

impl State {
    /// What is in force now; a request that began with it may end with it.
    pub(super) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What another config comes to, or why it cannot be followed. Somebody who can be reached from elsewhere must not
    /// lose the tokens that keep others out.
    pub(super) fn next(&self, config: &Config) -> Result<Live, String> {
        let live = Live::of(config).map_err(|error| error.to_string())?;
        let listen = self.server.listen;
        if live.guard.is_closed() || listen.ip().is_loopback() {
            return Ok(live);
        }
        Err(format!("server.tokens: there are none, and {listen} is not of this machine alone; that takes a restart"))
    }

    /// Follows another config, but for what takes a restart.
    pub(super) fn follow(&self, config: &Config) {
        match self.next(config) {
            Ok(live) => {
                self.tally.follow(&live.rules);
                for rule in live.rules.names() {
                    self.metrics.rule(rule);
                }
                *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
            }
            Err(error) => tracing::error!(%error, "the server goes on with its old tokens, rules and lanes"),
        }
    }

    /// The window of events that were taken.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
