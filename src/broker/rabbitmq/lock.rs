//! A lock that the whole fleet sees: an exclusive queue, which goes with the connection of whoever holds it.

use super::{
    fault::{NOT_FOUND, PATIENCE, code, told, waited},
    link::Link,
    topology::{close, short},
};
use crate::{broker::BrokerError, worker::clock};
use lapin::{
    Channel, Consumer,
    options::{BasicConsumeOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{FieldTable, ShortString},
};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait for a lock that somebody else holds.
pub const WAIT: Duration = Duration::from_secs(30);
/// Waits between two tries: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(400));
/// The queue is exclusive to the connection of somebody else.
const RESOURCE_LOCKED: u16 = 405;
/// A permission is missing, or somebody on our own connection has the queue to himself.
const ACCESS_REFUSED: u16 = 403;

/// A lock that is held. It is free again after [`Lock::release`], a moment after it was dropped, and when its
/// connection ends.
///
/// The queue is exclusive to a connection, and its one consumer to a channel: two tasks on one connection do not hold it
/// at the same time either. The queue goes with its consumer.
#[derive(Debug)]
pub struct Lock {
    channel: Channel,
    queue: ShortString,
    /// None while it is not held yet.
    consumer: Option<Consumer>,
    released: bool,
}

impl Lock {
    /// Takes a lock, waiting for at most [`WAIT`].
    pub async fn take(link: &Link, name: &str) -> Result<Self, BrokerError> {
        Self::take_within(link, name, WAIT).await
    }

    /// Takes a lock; `InUse` when somebody else has it for all that time.
    pub async fn take_within(link: &Link, name: &str, patience: Duration) -> Result<Self, BrokerError> {
        let queue = link.names().lock_queue(name);
        let mut chance = fastrand::Rng::with_seed(clock::seed());
        let (end, mut wait) = (Instant::now() + patience, BACKOFF.0);
        loop {
            if let Some(lock) = Self::attempt(link, &queue).await? {
                return Ok(lock);
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BrokerError::InUse(format!(
                    "somebody else has held the lock {queue} for {patience:?}: wait until the other `tagmill` command \
                     has ended and try again, or end it (the lock goes with its connection)"
                )));
            }
            // Whoever waits together shall not ask together.
            tokio::time::sleep(wait.mul_f64(0.5 + chance.f64()).min(left)).await;
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    /// `None` when somebody else has it.
    async fn attempt(link: &Link, queue: &str) -> Result<Option<Self>, BrokerError> {
        let what = format!("taking the lock {queue}");
        let mut lock = Self { channel: link.channel().await?, queue: short(queue)?, consumer: None, released: false };
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let declaring = lock.channel.queue_declare(lock.queue.clone(), own, FieldTable::default());
        match waited(&what, declaring).await? {
            Ok(_) => {}
            Err(error) if matches!(code(&error), Some(RESOURCE_LOCKED | NOT_FOUND)) => return Ok(lock.missed()),
            Err(error) => return Err(told(&error, &what)),
        }
        let alone = BasicConsumeOptions { exclusive: true, no_ack: true, ..Default::default() };
        let consuming = lock.channel.basic_consume(lock.queue.clone(), "lock".into(), alone, FieldTable::default());
        match waited(&what, consuming).await? {
            Ok(consumer) => {
                lock.consumer = Some(consumer);
                Ok(Some(lock))
            }
            // A task on our own connection holds it, or has let it go in between.
            Err(error) if code(&error) == Some(ACCESS_REFUSED) && error.to_string().contains("exclusive use") => {
                Ok(lock.missed())
            }
            Err(error) if matches!(code(&error), Some(RESOURCE_LOCKED | NOT_FOUND)) => Ok(lock.missed()),
            Err(error) => Err(told(&error, &what)),
        }
    }

    /// The broker has closed the channel: there is nothing to let go.
    fn missed(mut self) -> Option<Self> {
        self.released = true;
        None
    }

    /// Lets it go. It is free when this returns.
    pub async fn release(mut self) {
        self.released = true;
        let deleting = self.channel.queue_delete(self.queue.clone(), QueueDeleteOptions::default());
        // Where it cannot be said, the connection is gone, and the lock with it.
        let _ = tokio::time::timeout(PATIENCE, deleting).await;
        close(&self.channel).await;
    }
}

/// A future that is dropped halfway leaves the queue behind it, which would lock the fleet out for as long as the
/// connection lives.
impl Drop for Lock {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let (channel, queue, consumer) = (self.channel.clone(), self.queue.clone(), self.consumer.take());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // The queue goes with its consumer; if it has none yet, nobody else may have it either.
                if consumer.is_none() {
                    let unused = QueueDeleteOptions { if_unused: true, ..Default::default() };
                    let _ = tokio::time::timeout(PATIENCE, channel.queue_delete(queue, unused)).await;
                }
                close(&channel).await;
                drop(consumer);
            });
        }
    }
}
