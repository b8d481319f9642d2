//! One lane for ever: opened, worked on, opened again when it was lost or wants it, until the worker is told to stop.

use super::{
    WorkerError, clock,
    lane_task::{Ending, LaneTask, told_to},
    parts::Parts,
    view::Stand,
};
use crate::{
    broker::{Broker, BrokerError},
    job::LaneName,
};
use std::time::Duration;
use tokio::{sync::watch, task::JoinSet, time::Instant};

/// What the supervisor of a lane waits for, and how long. Tests shorten it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Lanes are opened at random within so long, so that a fleet that starts together spreads.
    pub spread: Duration,
    /// Before a lane that was lost is opened again: the first time, and at most.
    pub reopen: (Duration, Duration),
    /// The same where the broker refuses the lane: somebody has to change something first.
    pub refused: Duration,
    /// Before a credential that was refused is looked at again: the first time, and then.
    pub heal: (Duration, Duration),
    /// Between two looks at the files that secrets are in.
    pub secrets: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            spread: Duration::from_secs(3),
            reopen: (Duration::from_millis(100), Duration::from_secs(5)),
            refused: Duration::from_mins(1),
            heal: (Duration::from_mins(1), Duration::from_mins(5)),
            secrets: Duration::from_secs(10),
        }
    }
}

/// How often a failure that goes on is told again.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// One lane of a worker that runs for ever.
pub(super) struct Supervisor<B> {
    broker: B,
    parts: Parts,
    /// Its parts when they change: the lane ends in good order and is opened again with them.
    next: watch::Receiver<Parts>,
    rng: fastrand::Rng,
    /// Failures in a row.
    failures: u32,
    told: Option<(String, Instant)>,
}

impl<B: Broker> Supervisor<B> {
    pub(super) fn new(broker: B, mut next: watch::Receiver<Parts>) -> Self {
        let parts = next.borrow_and_update().clone();
        Self { broker, parts, next, rng: fastrand::Rng::with_seed(clock::seed()), failures: 0, told: None }
    }

    fn lane(&self) -> &LaneName {
        &self.parts.config.name
    }

    /// Runs until the worker is told to stop and the lane has ended in good order.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut wait = self.parts.waits.spread.mul_f64(self.rng.f64());
        loop {
            tokio::select! {
                () = told_to(&mut stop) => break,
                () = tokio::time::sleep(wait) => {}
                // What the broker or the cloud refused may be right now.
                Ok(()) = self.next.changed() => {}
            }
            let began = Instant::now();
            let outcome = self.once(&stop).await;
            // A lane that held for a while starts the waits anew.
            if began.elapsed() > self.parts.waits.reopen.1 * 2 {
                self.failures = 0;
            }
            wait = match outcome {
                Ok(Ending::Done) => break,
                Ok(Ending::Reopen(why)) => {
                    tracing::info!(lane = %self.lane(), why, "opening the lane again");
                    self.parts.board.stand(Stand::Opening);
                    Duration::ZERO
                }
                Err(error) => self.failed(&error),
            };
        }
        self.parts.board.stand(Stand::Closed);
    }

    /// One ownership of the lane, from its opening to its end.
    async fn once(&mut self, stop: &watch::Receiver<bool>) -> Result<Ending, WorkerError> {
        let mut stopped = stop.clone();
        let feed = tokio::select! {
            () = told_to(&mut stopped) => return Ok(Ending::Done),
            opened = self.broker.open_lane(self.lane()) => opened?,
        };
        self.parts = self.next.borrow_and_update().clone();
        self.parts.board.is_with(self.parts.config.provider.name);
        tracing::debug!(lane = %self.lane(), "open");
        self.parts.board.stand(Stand::Open);
        let task = LaneTask::new(self.parts.clone(), self.broker.clone(), feed);
        // A task of its own: what goes wrong in it beyond all reason must not end the others. It goes when this one goes.
        let mut working = JoinSet::new();
        let drain = watch::Sender::new(false);
        working.spawn(task.run(drain.subscribe()));
        let mut renewed = false;
        loop {
            tokio::select! {
                ended = working.join_next() => return match ended {
                    Some(Ok(Ok(Ending::Done))) if renewed && !*stop.borrow() => Ok(Ending::Reopen("its settings have changed")),
                    Some(Ok(outcome)) => outcome,
                    Some(Err(error)) => Err(WorkerError::Task(error.to_string())),
                    None => Ok(Ending::Done),
                },
                () = told_to(&mut stopped), if !*drain.borrow() => drop(drain.send_replace(true)),
                Ok(()) = self.next.changed(), if !renewed => {
                    renewed = true;
                    drain.send_replace(true);
                }
            }
        }
    }

    /// Tells of a failure, once while it stays the same, and says how long to wait.
    fn failed(&mut self, error: &WorkerError) -> Duration {
        let why = error.to_string();
        let now = Instant::now();
        let known = self.told.as_ref().is_some_and(|(told, at)| *told == why && now.duration_since(*at) < TELL_AGAIN);
        let (wait, stand) = match error {
            WorkerError::Broker(BrokerError::LaneLost(_, reason)) => (self.backoff(), Stand::Away(reason.clone())),
            WorkerError::Broker(BrokerError::Unavailable(_)) => (self.backoff(), Stand::Away(why.clone())),
            _ => (self.parts.waits.refused, Stand::Refused(why.clone())),
        };
        let lane = self.lane();
        if known {
            tracing::debug!(%lane, %why, "still not open");
        } else {
            if let Stand::Refused(_) = &stand {
                tracing::error!(%lane, %why, ?wait, "the lane cannot be worked on; tried again");
            } else {
                tracing::warn!(%lane, %why, "the lane is away; opening it again");
            }
            self.told = Some((why, now));
        }
        self.parts.board.stand(stand);
        // Half of it is chance: lanes that were lost together do not come back together.
        wait / 2 + (wait / 2).mul_f64(self.rng.f64())
    }

    fn backoff(&mut self) -> Duration {
        let (first, most) = self.parts.waits.reopen;
        let wait = first.saturating_mul(1 << self.failures.min(16)).min(most);
        self.failures += 1;
        wait
    }
}
