//! What a queue says of itself, without the management plugin and without making it.

use super::{
    fault::{NOT_FOUND, code, told, waited},
    link::Link,
    own::Own,
    topology::short,
};
use crate::broker::BrokerError;
use lapin::{options::QueueDeclareOptions, types::FieldTable};
use std::time::Duration;
use tokio::time::Instant;

/// Wait between two looks at a queue that changes by itself.
const LOOK: Duration = Duration::from_millis(20);

/// A queue at a glance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait; those that somebody holds are not among them.
    pub ready: u64,
    /// Consumers that may get some: at most one where only one is active at a time.
    pub consumers: u64,
}

/// Looks at many queues. A queue that is missing costs the channel, so a new one is opened when needed.
#[derive(Debug)]
pub struct Gauge<'l> {
    link: &'l Link,
    channel: Option<Own>,
}

impl<'l> Gauge<'l> {
    /// A gauge on a connection.
    pub fn new(link: &'l Link) -> Self {
        Self { link, channel: None }
    }

    /// What the queue holds; `None` where there is none.
    pub async fn depth(&mut self, queue: &str) -> Result<Option<Depth>, BrokerError> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => Own::open(self.link).await?,
        };
        let what = format!("looking at queue {queue}");
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let asked = channel.queue_declare(short(queue)?, passive, FieldTable::default());
        match waited(&what, asked).await? {
            Ok(found) => {
                self.channel = Some(channel);
                Ok(Some(Depth { ready: found.message_count().into(), consumers: found.consumer_count().into() }))
            }
            Err(error) if code(&error) == Some(NOT_FOUND) => Ok(None),
            Err(error) => Err(told(&error, &what)),
        }
    }

    /// Waits until the queue has at most so many consumers, or for so long. Messages that a consumer holds come back in
    /// the moment in which it goes with its channel, but the broker does not say when; until then they would look lost to
    /// the next one who looks.
    pub async fn wait_for(&mut self, queue: &str, consumers: u64, patience: Duration) -> Result<bool, BrokerError> {
        let end = Instant::now() + patience;
        loop {
            if self.depth(queue).await?.is_none_or(|depth| depth.consumers <= consumers) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Gives the channel back.
    pub async fn close(self) {
        if let Some(channel) = self.channel {
            channel.close().await;
        }
    }
}
