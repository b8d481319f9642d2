//! Everything that waits in a queue, in its order, without taking any of it away, and in bounded memory.
//!
//! AMQP has no way to look without taking. `basic.get` is slow, and RabbitMQ 3.x puts back what many gets took in another
//! order. So a walk consumes chunk by chunk, one short-lived consumer each: closing the channel, or losing it, puts
//! everything back in order, as long as there are few consumers (the broker keeps up to 32 sorted).

use crate::broker::{
    BrokerError,
    rabbitmq::{
        depth::Gauge,
        fault::{PATIENCE, answered, told},
        link::Link,
        topology::short,
    },
};
use futures_core::Stream as _;
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{collections::VecDeque, future::poll_fn, pin::Pin, time::Duration};
use tokio::time::Instant;

/// Messages of the first chunk: nothing is known of their size yet.
const FIRST: u64 = 16;
/// A chunk has at most so many times the messages of the one before: the first ones may have been small by chance.
const GROWTH: u64 = 8;
/// Bytes that a chunk may have, as far as the size of earlier messages tells; twice that after every eighth chunk.
const CHUNK_BYTES: u64 = 32_000_000;
/// The number of the chunk that takes all that is left, so that the broker's order holds.
const LAST: u32 = 30;
/// What the wire allows.
const MOST: u64 = 65_535;
/// Where only one consumer is active, there is one chunk.
const SINGLE: u64 = 1_000;
/// Silence after which a look is taken whether anything is left.
const SILENCE: Duration = Duration::from_secs(1);

/// One walk over one queue. What it has handed over is put back when the channel ends, unless it was acked.
#[derive(Debug)]
pub(super) struct Walk<'l> {
    link: &'l Link,
    channel: Channel,
    queue: &'l str,
    /// Only one consumer of this queue gets anything.
    single: bool,
    /// Messages to hand over still: those that waited at the start. What comes later is not part of the walk.
    left: u64,
    chunks: u32,
    /// Messages and bytes of the chunk before.
    before: (u64, u64),
    buffer: VecDeque<Delivery>,
    /// Messages that are out of the queue since the last time somebody asked.
    taken: i64,
}

impl<'l> Walk<'l> {
    /// A walk over the `ready` messages of a queue.
    pub(super) fn new(link: &'l Link, channel: &Channel, queue: &'l str, ready: u64, single: bool) -> Self {
        let (channel, buffer) = (channel.clone(), VecDeque::new());
        Self { link, channel, queue, single, left: ready, chunks: 0, before: (FIRST, 0), buffer, taken: 0 }
    }

    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.buffer.is_empty() && self.left > 0 && !(self.single && self.chunks > 0) {
            self.fill().await?;
        }
        Ok(self.buffer.pop_front())
    }

    /// Messages that were taken out of the queue since this was asked before, handed over or not.
    pub(super) fn taken(&mut self) -> i64 {
        std::mem::take(&mut self.taken)
    }

    /// Messages that waited and were not handed over.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    fn chunk(&self) -> u64 {
        let (messages, bytes) = self.before;
        let size = match self.chunks {
            _ if self.single => SINGLE,
            0 => FIRST,
            LAST.. => MOST,
            chunks => {
                let most = CHUNK_BYTES << (chunks / 8);
                (most / (bytes / messages.max(1)).max(1)).clamp(1, messages * GROWTH)
            }
        };
        size.min(self.left).min(MOST)
    }

    async fn fill(&mut self) -> Result<(), BrokerError> {
        let size = self.chunk();
        let what = format!("reading queue {}", self.queue);
        let prefetch = u16::try_from(size).unwrap_or(u16::MAX);
        answered(&what, self.channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        // The broker puts back consumer by consumer, sorted by these names.
        let tag = format!("{:03}.{}", self.chunks, self.queue);
        let consuming = self.channel.basic_consume(
            short(self.queue)?,
            short(&tag)?,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let mut consumer = answered(&what, consuming).await?;
        let is_over = self.receive(&mut consumer, size).await?;
        // Acks would let the consumer have more: it must be gone before the first one.
        answered(&what, self.channel.basic_cancel(short(&tag)?, BasicCancelOptions::default())).await?;
        while let Ok(Some(Ok(delivery))) = tokio::time::timeout(SILENCE, next(&mut consumer)).await {
            self.buffer.push_back(delivery);
        }
        let bytes = self.buffer.iter().map(|delivery| delivery.data.len() as u64).sum();
        self.before = (self.buffer.len() as u64, bytes);
        self.chunks += 1;
        self.taken += i64::try_from(self.buffer.len()).unwrap_or(i64::MAX);
        self.left = if is_over { 0 } else { self.left.saturating_sub(self.buffer.len() as u64) };
        Ok(())
    }

    /// Waits for so many messages. True when there are no more: somebody else has taken some.
    async fn receive(&mut self, consumer: &mut Consumer, size: u64) -> Result<bool, BrokerError> {
        let what = format!("reading queue {}", self.queue);
        let (mut since, mut was_empty) = (Instant::now(), false);
        while (self.buffer.len() as u64) < size {
            match tokio::time::timeout(SILENCE, next(consumer)).await {
                Ok(Some(Ok(delivery))) => {
                    self.buffer.push_back(delivery);
                    (since, was_empty) = (Instant::now(), false);
                }
                Ok(Some(Err(error))) => return Err(told(&error, &what)),
                Ok(None) => return Ok(true),
                Err(_) => {
                    let mut gauge = Gauge::new(self.link);
                    let is_empty = gauge.depth(self.queue).await?.is_none_or(|depth| depth.ready == 0);
                    gauge.close().await;
                    // Twice: the last ones may have been on their way.
                    if is_empty && was_empty {
                        return Ok(true);
                    }
                    was_empty = is_empty;
                    if since.elapsed() > PATIENCE {
                        return Err(BrokerError::Unavailable(format!("{what}: nothing came in {PATIENCE:?}")));
                    }
                }
            }
        }
        Ok(false)
    }
}

async fn next(consumer: &mut Consumer) -> Option<lapin::Result<Delivery>> {
    poll_fn(|cx| Pin::new(&mut *consumer).poll_next(cx)).await
}
