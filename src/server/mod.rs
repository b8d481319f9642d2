//! HTTP: jobs and events in, lanes and dead letters at hand, health for whoever watches.
//!
//! ```text
//!  listen ── guard (who, how many, how long) ── routes ──> jobs, events ── publish ──> broker
//!                                                      └──> lanes, dead, look (fleet)
//! ```
//!
//! A 202 is given only after the broker has confirmed; before that the answer is a problem that says when to come again.

mod auth;
mod body;
mod certificates;
mod dead;
mod eldest;
mod events;
mod gauges;
mod guard;
mod home;
mod jobs;
mod lanes;
mod listen;
mod look;
pub mod openapi;
mod page;
mod problem;
mod publish;
mod queues;
mod recent;
pub mod routes;
mod split;
mod state;
mod tally;

pub use problem::Problem;
pub use state::{IsReady, LanesNow, Ready};

use crate::{
    broker::rabbitmq::Publisher,
    config::{Config, Server as Settings},
    event::{Rules, Seen, Source},
    fleet::place,
    telemetry::Metrics,
};
use state::State;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Messages of events that are read at the same time.
const READ_AT_ONCE: usize = 8;

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NoServer {
    /// The address cannot be listened on.
    #[error("server.listen: {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// A token cannot be had.
    #[error("{field}: {why}")]
    Secret {
        /// Where the config names it.
        field: &'static str,
        /// Why.
        why: String,
    },
    /// There is no broker to hand anything to.
    #[error(transparent)]
    Broker(#[from] place::NoFleet),
}

/// A server at work. Dropping it ends it at once.
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    serving: JoinSet<()>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Listens and answers as the newest config says. `publisher` is the connection for what is handed in; `lanes_now` says how the lanes of this
    /// process are; `drain` is how long requests on their way may take at the end.
    pub async fn start(
        mut configs: watch::Receiver<Arc<Config>>,
        publisher: Publisher,
        is_ready: IsReady,
        lanes_now: LanesNow,
        drain: Duration,
    ) -> Result<Self, NoServer> {
        let config = configs.borrow_and_update().clone();
        let broker = place::broker(&config)?.clone();
        let server = config.server.clone().unwrap_or_default();
        let live = state::Live::of(&config)?;
        let listener =
            TcpListener::bind(server.listen).await.map_err(|error| NoServer::Listen(server.listen, error))?;
        let address = listener.local_addr().map_err(|error| NoServer::Listen(server.listen, error))?;
        let (stop, stopped) = watch::channel(false);
        let recent = recent::Recent::default();
        let concurrency = server.limits.concurrency as usize;
        let (home, at_home) = watch::channel(false);
        let state = Arc::new(State {
            names: place::names(&broker)?,
            live: RwLock::new(Arc::new(live)),
            publisher,
            seen: Mutex::new(Seen::new(config.events.dedup)),
            tally: tally::Tally::new(&config.rules),
            recent: recent.clone(),
            certificates: certificates::Certificates::default(),
            is_ready,
            at_home,
            metrics: metrics(&config.rules),
            lanes_now,
            reading: Semaphore::new(READ_AT_ONCE),
            room: Arc::new(Semaphore::new(concurrency)),
            look: tokio::sync::Mutex::default(),
            pace: std::sync::Mutex::new((crate::worker::clock::monotonic(), crate::fleet::eta::Pace::default())),
            desk: tokio::sync::Mutex::default(),
            stop: stopped.clone(),
            server,
            broker: broker.clone(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(gauges::keep(Arc::clone(&state)));
        let (make, made) = watch::channel(false);
        tasks.spawn(home::make(broker.clone(), state.live().lanes.clone(), make));
        tasks.spawn(follow(Arc::clone(&state), configs));
        tasks.spawn(recent.listen(broker, made, home));
        for queue in &config.events.queues {
            tasks.spawn(queues::consume(Arc::clone(&state), queue.clone()));
        }
        let mut serving = JoinSet::new();
        serving.spawn(listen::serve(listener, routes::router(&state), concurrency, stopped, drain));
        let (tokens, rules) = (state.live().guard.is_closed(), config.rules.names().count());
        tracing::info!(%address, tokens, rules, queues = config.events.queues.len(), "listening");
        Ok(Self { address, state, tasks, stop, serving })
    }

    /// Why another config cannot be followed, where it cannot.
    pub fn can_follow(&self, config: &Config) -> Result<(), String> {
        self.state.next(config).map(drop)
    }

    /// What it tells Prometheus.
    pub fn metrics(&self) -> &Metrics {
        &self.state.metrics
    }

    /// Where it listens: the port that was found, where the config leaves it to the system.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connections and no more events; requests on their way are answered.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        self.tasks.shutdown().await;
        while self.serving.join_next().await.is_some() {}
    }
}

/// Takes over what changes in the config, for ever. Lanes that are new have their queues first.
async fn follow(state: Arc<State>, mut configs: watch::Receiver<Arc<Config>>) {
    while configs.changed().await.is_ok() {
        let config = configs.borrow_and_update().clone();
        let (home, _) = watch::channel(false);
        let lanes = config.lanes.iter().map(crate::config::LaneConfig::facts).collect();
        home::make(state.broker.clone(), lanes, home).await;
        state.follow(&config);
    }
}

/// The counts of the server, those of sources and rules at nought.
fn metrics(rules: &Rules) -> Metrics {
    let metrics = Metrics::new();
    for source in Source::ALL {
        metrics.source(source.as_str());
    }
    for rule in rules.names() {
        metrics.rule(rule);
    }
    metrics
}

/// The settings of a config that has none: this machine only.
pub fn settings(config: &Config) -> Settings {
    config.server.clone().unwrap_or_default()
}
