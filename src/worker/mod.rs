//! One task per lane joins the rooms: broker to lane to HTTP and back. Credentials, shutdown and progress live here.

pub mod clock;

mod client;
mod credentials;
mod lane_task;
mod naming;
mod work;

pub use client::Client;
pub use credentials::{Identity, Keepers};

use crate::{
    broker::{Broker, BrokerError, Feed as _},
    config::LaneConfig,
    job::LaneName,
    lane::{Control, Status},
    plan::Caps,
    provider::{Limits, Write},
};
use lane_task::LaneTask;
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

/// A lane as its observers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneView {
    /// Its name.
    pub name: LaneName,
    /// The machine at a glance.
    pub status: Status,
    /// Nothing is left in its queue and nothing in the machine.
    pub finished: bool,
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
    controls: Vec<mpsc::UnboundedSender<Control>>,
    views: Vec<watch::Receiver<LaneView>>,
    interrupted: bool,
}

impl Worker {
    /// Opens the lanes and starts.
    pub async fn start<B: Broker>(broker: &B, lanes: &[LaneConfig]) -> Result<Self, WorkerError> {
        let client = Client::new().map_err(WorkerError::Client)?;
        let keepers = Keepers::new(client.clone()).map_err(WorkerError::Client)?;
        let mut worker = Self { tasks: JoinSet::new(), controls: Vec::new(), views: Vec::new(), interrupted: false };
        for (config, feed) in lanes.iter().zip(open(broker, lanes).await?) {
            if feed.is_exhausted() {
                continue;
            }
            let (control, controls) = mpsc::unbounded_channel();
            let provider = (config.provider.build)(&config.settings)
                .map_err(|why| WorkerError::Provider { lane: config.name.clone(), why })?;
            let keeper = keepers.of(config);
            let task = LaneTask::new(config, Arc::from(provider), broker.clone(), feed, client.clone(), keeper);
            worker.views.push(task.view());
            worker.controls.push(control);
            worker.tasks.spawn(task.run(controls));
        }
        Ok(worker)
    }

    /// What the lanes do, to be looked at now and then.
    pub fn views(&self) -> Vec<watch::Receiver<LaneView>> {
        self.views.clone()
    }

    /// No new calls: calls on their way are waited for, the rest stays in the queue.
    pub fn drain(&mut self) {
        self.interrupted = true;
        self.tell(&Control::Drain);
    }

    fn tell(&self, control: &Control) {
        for lane in &self.controls {
            // A lane that has ended needs no word.
            let _ = lane.send(control.clone());
        }
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
                        self.tell(&Control::Drain);
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
