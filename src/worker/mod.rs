//! One task per lane joins the rooms: broker to lane to HTTP and back. Credentials, shutdown and progress live here.

pub mod clock;

mod client;
mod credentials;
mod identity;
mod lane_task;
mod member;
mod naming;
mod notes;
mod outbox;
mod parts;
mod readiness;
mod report;
mod secrets;
mod service;
mod standing;
mod supervisor;
mod tenure;
mod view;
mod work;

pub use client::Client;
pub use credentials::{Identity, Keepers};
pub use member::{Member, host};
pub use readiness::Readiness;
pub use secrets::digest;
pub use service::{Changes, Service};
pub use supervisor::Waits;
pub use view::{LaneView, Stand};

use crate::{
    broker::{Broker, BrokerError, Feed as _, rabbitmq::LinkState},
    config::LaneConfig,
    job::LaneName,
    plan::Caps,
    provider::{Limits, Write},
};
use lane_task::LaneTask;
use parts::Parts;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Items a lane holds at most: the planning window, and the bound on memory (at most 1 KB an item).
pub const CAPACITY: usize = 200_000;

/// What one call of a lane may carry. Where a write replaces the whole set, a call does all that is pending on a resource.
pub fn caps(limits: &Limits) -> Caps {
    match limits.write {
        Write::Merge => {
            Caps { resources: limits.resources_per_call, tags: limits.tags_per_call, keys: limits.keys_per_call }
        }
        Write::Replace => Caps::WHOLE,
    }
}

/// Why a worker could not go on. Nothing is lost: what was not acked is still in the queue.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
    /// A lane's settings do not make a provider.
    #[error("lane {lane}: {why}")]
    Provider {
        /// The lane.
        lane: LaneName,
        /// What is wrong.
        why: String,
    },
    /// A task ended in a way it never should.
    #[error("a lane's task broke off: {0}")]
    Task(String),
}

/// How a worker ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Lanes with work left, and why they make no calls.
    pub paused: Vec<(LaneName, String)>,
    /// It was told to stop.
    pub interrupted: bool,
}

/// Lanes at work until their queues are empty, or until it is told to stop.
#[derive(Debug)]
pub struct Worker {
    tasks: JoinSet<Result<(), WorkerError>>,
    stop: watch::Sender<bool>,
    views: Vec<watch::Receiver<LaneView>>,
    interrupted: bool,
}

impl Worker {
    /// Opens the lanes and starts.
    pub async fn start<B: Broker>(broker: &B, lanes: &[LaneConfig]) -> Result<Self, WorkerError> {
        let stop = watch::Sender::new(false);
        let mut worker = Self { tasks: JoinSet::new(), stop, views: Vec::new(), interrupted: false };
        let parts = Parts::of(lanes, &Arc::default(), &Waits::default())?;
        for (parts, feed) in parts.into_iter().zip(open(broker, lanes).await?) {
            if feed.is_exhausted() {
                continue;
            }
            worker.views.push(parts.board.watch());
            let task = LaneTask::new(parts, broker.clone(), feed);
            let stop = worker.stop.subscribe();
            worker.tasks.spawn(async move { task.run(stop).await.map(|_| ()) });
        }
        Ok(worker)
    }

    /// Works on these lanes for ever, on a broker that other workers use too. `link` is its connection for publishing.
    pub fn serve<B: Broker>(
        broker: &B,
        lanes: &[LaneConfig],
        link: watch::Receiver<LinkState>,
        waits: &Waits,
    ) -> Result<Service, WorkerError> {
        Service::start(broker, lanes, link, waits)
    }

    /// What the lanes do, to be looked at now and then.
    pub fn views(&self) -> Vec<watch::Receiver<LaneView>> {
        self.views.clone()
    }

    /// No new calls: calls on their way are waited for, the rest stays in the queue.
    pub fn drain(&mut self) {
        self.interrupted = true;
        self.stop.send_replace(true);
    }

    /// Runs until every lane has finished, or only paused lanes have work left, or a drain is done. `stop` ends early:
    /// it is a signal that may come twice.
    pub async fn run(mut self, mut stop: mpsc::Receiver<()>) -> Result<Ended, WorkerError> {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut paused = Vec::new();
        loop {
            tokio::select! {
                done = self.tasks.join_next() => match done {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => return Err(error),
                    Some(Err(error)) => return Err(WorkerError::Task(error.to_string())),
                },
                Some(()) = stop.recv(), if !self.interrupted => self.drain(),
                _ = look.tick(), if paused.is_empty() && !self.interrupted => {
                    paused = self.only_paused();
                    if !paused.is_empty() {
                        self.stop.send_replace(true);
                    }
                }
            }
        }
        Ok(Ended { paused, interrupted: self.interrupted })
    }

    /// Every lane that has work left is paused: nothing will happen by itself.
    fn only_paused(&self) -> Vec<(LaneName, String)> {
        let mut paused = Vec::new();
        for view in &self.views {
            let view = view.borrow();
            match &view.status.paused {
                Some(why) if view.status.in_flight == 0 => paused.push((view.name.clone(), why.clone())),
                _ if view.finished => {}
                _ => return Vec::new(),
            }
        }
        paused
    }
}

/// Opens every lane at once: a broker answers a thousand questions together in the time of a few.
async fn open<B: Broker>(broker: &B, lanes: &[LaneConfig]) -> Result<Vec<B::Feed>, WorkerError> {
    let mut opening = JoinSet::new();
    for (index, lane) in lanes.iter().enumerate() {
        let (broker, name) = (broker.clone(), lane.name.clone());
        opening.spawn(async move { (index, broker.open_lane(&name).await) });
    }
    let mut feeds = Vec::with_capacity(lanes.len());
    while let Some(opened) = opening.join_next().await {
        let (index, feed) = opened.map_err(|error| WorkerError::Task(error.to_string()))?;
        feeds.push((index, feed?));
    }
    feeds.sort_by_key(|(index, _)| *index);
    Ok(feeds.into_iter().map(|(_, feed)| feed).collect())
}
