//! Everything that waits in a queue, in its order, without taking any of it away.
//!
//! AMQP has no way to look without taking, and what is put back goes to the tail of what was put back before (measured on
//! RabbitMQ 3.10). So whoever takes a part and breaks off changes the order, and so do many `basic.get`s. A walk therefore
//! takes all of it in one moment, by a few consumers that together have room for everything: closing the channel, or
//! losing it, puts all of it back in order, and its consumers are gone in the same moment: a queue that has no consumer
//! has all its messages. Only where the bodies would not fit into memory it goes chunk by chunk; then the order holds if
//! the walk comes to its end.

use super::{
    depth::{Depth, Gauge},
    fault::{PATIENCE, answered, told},
    link::Link,
    topology::short,
};
use crate::broker::BrokerError;
use futures_core::Stream as _;
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{collections::VecDeque, future::poll_fn, pin::Pin, time::Duration};
use tokio::time::Instant;

/// What one consumer can hold: the wire has 16 bits for it. The broker keeps up to 32 consumers in order, which makes two
/// million messages.
const ROOM: u64 = 65_535;
/// Where only one consumer is active, one takes so many, and that is it.
const SINGLE: u64 = 1_000;
/// Messages of the first chunk.
const FIRST: u64 = 16;
/// A chunk has at most so many times the messages of the one before: the first ones may have been small by chance.
const GROWTH: u64 = 8;
/// Bytes that a chunk may have, as far as the size of earlier messages tells.
const CHUNK_BYTES: u64 = 64_000_000;
/// Silence after which a look is taken whether anything is left.
const SILENCE: Duration = Duration::from_secs(1);

/// How long the messages of somebody who was killed may take to come back.
const BACK: Duration = Duration::from_secs(5);

/// How much is taken in one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// All of it. Whoever is slower than the broker has the rest in memory.
    Whole,
    /// As much as fits into little memory.
    Chunks,
    /// Some of it: only one consumer of this queue gets anything.
    Single,
}

/// One walk over one queue. What it has taken is put back when the channel ends, unless it was acked.
#[derive(Debug)]
pub(super) struct Walk<'l> {
    link: &'l Link,
    channel: Channel,
    queue: &'l str,
    step: Step,
    /// Messages that waited at the start and are still in the queue. What comes later is not part of the walk.
    left: u64,
    /// Consumers and what each has to bring still.
    consumers: VecDeque<(Consumer, u64)>,
    /// Consumers that have brought everything. They stay until the channel ends: they show that messages are out.
    done: Vec<Consumer>,
    /// Consumers that there have been.
    count: u32,
    /// Messages and bytes of the chunk before.
    before: (u64, u64),
    /// A chunk whose consumer is gone.
    buffer: VecDeque<Delivery>,
}

impl<'l> Walk<'l> {
    /// A walk over the `ready` messages of a queue.
    pub(super) fn new(link: &'l Link, channel: &Channel, queue: &'l str, ready: u64, step: Step) -> Self {
        let (channel, consumers, buffer) = (channel.clone(), VecDeque::new(), VecDeque::new());
        Self {
            link,
            channel,
            queue,
            step,
            left: ready,
            consumers,
            done: Vec::new(),
            count: 0,
            before: (FIRST, 0),
            buffer,
        }
    }

    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        loop {
            if let Some(delivery) = self.buffer.pop_front() {
                return Ok(Some(delivery));
            }
            if let Some((consumer, due)) = self.consumers.front_mut() {
                let found = receive(self.link, self.queue, consumer).await?;
                *due = due.saturating_sub(1);
                if *due == 0 || found.is_none() {
                    self.done.extend(self.consumers.pop_front().map(|(consumer, _)| consumer));
                }
                match found {
                    Some(delivery) => return Ok(Some(delivery)),
                    None => continue,
                }
            }
            if self.left == 0 || (self.step == Step::Single && self.count > 0) {
                return Ok(None);
            }
            match self.step {
                Step::Whole => {
                    while self.left > 0 {
                        self.subscribe(self.left.min(ROOM)).await?;
                    }
                }
                Step::Single => self.subscribe(self.left.min(SINGLE)).await?,
                Step::Chunks => self.fill().await?,
            }
        }
    }

    /// The consumers of what was taken, for whoever closes the channel first and drops them then.
    pub(super) fn into_consumers(self) -> Vec<Consumer> {
        self.done.into_iter().chain(self.consumers.into_iter().map(|(consumer, _)| consumer)).collect()
    }

    /// Messages that waited and were not taken.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// Takes so many of those that are left.
    async fn subscribe(&mut self, size: u64) -> Result<(), BrokerError> {
        let what = format!("reading queue {}", self.queue);
        let prefetch = u16::try_from(size).unwrap_or(u16::MAX);
        answered(&what, self.channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
        // The broker puts back consumer by consumer, sorted by these names.
        let tag = short(&format!("{:06}.{}", self.count, self.queue))?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = self.channel.basic_consume(short(self.queue)?, tag, options, none);
        let consumer = answered(&what, consuming).await?;
        self.count += 1;
        self.left = self.left.saturating_sub(size);
        self.consumers.push_back((consumer, size));
        Ok(())
    }

    /// Takes a chunk, and ends its consumer before the first ack: acks would let it have more.
    async fn fill(&mut self) -> Result<(), BrokerError> {
        let (messages, bytes) = self.before;
        let mean = (bytes / messages.max(1)).max(1);
        let size = if bytes == 0 { FIRST } else { (CHUNK_BYTES / mean).clamp(1, messages * GROWTH) };
        self.subscribe(size.min(self.left).min(ROOM)).await?;
        let Some((mut consumer, mut due)) = self.consumers.pop_front() else { return Ok(()) };
        while due > 0 {
            let Some(delivery) = receive(self.link, self.queue, &mut consumer).await? else {
                self.left = 0;
                break;
            };
            self.buffer.push_back(delivery);
            due -= 1;
        }
        let cancelling = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        answered(&format!("reading queue {}", self.queue), cancelling).await?;
        self.before = (self.buffer.len() as u64, self.buffer.iter().map(|delivery| delivery.data.len() as u64).sum());
        Ok(())
    }
}

/// The depth of a queue of which nobody holds any message. Whoever has a lock on it may have to wait for that: the lock
/// and the messages of somebody who was killed come free at about the same time. A queue that has other consumers is as
/// it is; `Err` says how it is then.
pub(super) async fn settled(gauge: &mut Gauge<'_>, queue: &str) -> Result<Result<Option<Depth>, Depth>, BrokerError> {
    gauge.wait_for(queue, 0, BACK).await?;
    Ok(match gauge.depth(queue).await? {
        Some(depth) if depth.consumers > 0 => Err(depth),
        depth => Ok(depth),
    })
}

/// Waits for a message that the queue has for this consumer; none when somebody else has taken it.
async fn receive(link: &Link, queue: &str, consumer: &mut Consumer) -> Result<Option<Delivery>, BrokerError> {
    let what = format!("reading queue {queue}");
    let (since, mut was_empty) = (Instant::now(), false);
    loop {
        let next = poll_fn(|cx| Pin::new(&mut *consumer).poll_next(cx));
        match tokio::time::timeout(SILENCE, next).await {
            Ok(Some(Ok(delivery))) => return Ok(Some(delivery)),
            Ok(Some(Err(error))) => return Err(told(&error, &what)),
            Ok(None) => return Ok(None),
            Err(_) => {
                let mut gauge = Gauge::new(link);
                let is_empty = gauge.depth(queue).await?.is_none_or(|depth| depth.ready == 0);
                gauge.close().await;
                // Twice: it may have been on its way.
                if is_empty && was_empty {
                    return Ok(None);
                }
                was_empty = is_empty;
                if since.elapsed() > PATIENCE {
                    return Err(BrokerError::Unavailable(format!("{what}: nothing came in {PATIENCE:?}")));
                }
            }
        }
    }
}
