//! Reading a queue without taking anything out of it: everything stays unacked and goes back in order at the end.

use super::{
    depth::{Depth, Gauge},
    fault::answered,
    link::Link,
    names::job_binding,
    topology::{self, short},
};
use crate::{broker::BrokerError, job::JobId};
use futures_core::Stream as _;
use lapin::{
    Channel, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};
use tokio::task::{JoinError, JoinHandle};

/// Messages that one channel may hold unacked. They are sent at once, so they are memory here until they are looked at;
/// the wire allows 65,535.
pub const HELD: u16 = 20_000;
/// A message that is known to be there comes within that time, or somebody else has it.
const QUIET: Duration = Duration::from_secs(5);

/// One message as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Read {
    /// Its routing key.
    pub key: String,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// Never shows the body.
impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Read({}, {} bytes)", self.key, self.body.len())
    }
}

/// A reader at the end of a queue. It is ended by [`Tail::close`]: dropped, its messages go back out of order.
#[derive(Debug)]
pub struct Tail {
    link: Link,
    queue: ShortString,
    held: u16,
    /// Each holds as much as it may, except the last one.
    open: Vec<Reader>,
    /// The next one. A task of its own: given up half-way, it would hold messages that nobody looks at.
    opening: Option<JoinHandle<Result<Reader, BrokerError>>>,
}

#[derive(Debug)]
struct Reader {
    channel: Channel,
    consumer: Consumer,
    read: u16,
}

/// How a look at a queue went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Browsed {
    /// Messages that were read; they are on their way back.
    pub read: u64,
    /// All that the queue had: what somebody else holds cannot be read.
    pub is_all: bool,
}

/// Reads what is in a queue now, hands each message to `see`, and puts everything back.
pub async fn browse(link: &Link, queue: &str, mut see: impl FnMut(Read)) -> Result<Browsed, BrokerError> {
    let mut gauge = Gauge::new(link);
    let found = gauge.depth(queue).await?;
    gauge.close().await;
    let Some(Depth { ready, .. }) = found else { return Ok(Browsed { read: 0, is_all: true }) };
    let mut tail = Tail::open(link, queue, HELD).await?;
    let mut browsed = Browsed { read: 0, is_all: true };
    let mut outcome = Ok(());
    while browsed.read < ready {
        match tokio::time::timeout(QUIET, tail.next()).await {
            Ok(Ok(read)) => see(read),
            Ok(Err(error)) => {
                outcome = Err(error);
                break;
            }
            Err(_) => {
                browsed.is_all = false;
                break;
            }
        }
        browsed.read += 1;
    }
    tail.close().await;
    outcome.map(|()| browsed)
}

/// A queue that goes with the connection and gets every receipt of a job from now on.
pub async fn bind_job(link: &Link, job: &JobId, name: &str) -> Result<String, BrokerError> {
    let queue = link.names().temporary(name);
    let channel = link.channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let what = format!("declaring queue {queue}");
    answered(&what, channel.queue_declare(short(&queue)?, QueueDeclareOptions::exclusive(), arguments)).await?;
    let (exchange, key) = (short(link.names().receipts())?, short(&job_binding(job))?);
    let bound = channel.queue_bind(short(&queue)?, exchange, key, QueueBindOptions::default(), FieldTable::default());
    answered(&format!("binding queue {queue}"), bound).await?;
    topology::close(&channel).await;
    Ok(queue)
}

/// Every receipt from now on, for whoever looks on: a queue that goes with its connection and holds the newest alone.
#[derive(Debug)]
pub struct Receipts {
    consumer: Consumer,
    /// The consumer ends with it.
    _channel: Channel,
}

impl Receipts {
    /// Listens from now on. The queue forgets the oldest beyond `most`.
    pub async fn open(link: &Link, name: &str, most: usize) -> Result<Self, BrokerError> {
        let queue = link.names().temporary(name);
        let channel = link.channel().await?;
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(i32::try_from(most).unwrap_or(i32::MAX)));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("drop-head".into()));
        let what = format!("declaring queue {queue}");
        answered(&what, channel.queue_declare(short(&queue)?, QueueDeclareOptions::exclusive(), arguments)).await?;
        let (exchange, key, none) = (short(link.names().receipts())?, short("#")?, FieldTable::default);
        let bound = channel.queue_bind(short(&queue)?, exchange, key, QueueBindOptions::default(), none());
        answered(&format!("binding queue {queue}"), bound).await?;
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let reading = channel.basic_consume(short(&queue)?, ShortString::default(), options, none());
        let consumer = answered(&format!("reading queue {queue}"), reading).await?;
        Ok(Self { consumer, _channel: channel })
    }

    /// The next one, as JSON.
    pub async fn next(&mut self) -> Result<Vec<u8>, BrokerError> {
        match poll_fn(|cx| Pin::new(&mut self.consumer).poll_next(cx)).await {
            Some(Ok(delivery)) => Ok(delivery.data),
            Some(Err(error)) => Err(super::fault::told(&error, "reading receipts")),
            None => Err(BrokerError::Unavailable("the queue of receipts is gone".into())),
        }
    }
}

impl Reader {
    async fn open(link: Link, queue: ShortString, held: u16) -> Result<Self, BrokerError> {
        let channel = link.channel().await?;
        let what = format!("reading queue {queue}");
        answered(&what, channel.basic_qos(held, BasicQosOptions::default())).await?;
        let (tag, none) = (ShortString::default(), FieldTable::default());
        let reading = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), none);
        let consumer = answered(&what, reading).await?;
        Ok(Self { channel, consumer, read: 0 })
    }
}

impl Tail {
    /// Starts at the head of the queue. One channel holds up to `held` messages ([`HELD`]); then there is another.
    pub async fn open(link: &Link, queue: &str, held: u16) -> Result<Self, BrokerError> {
        let queue = short(queue)?;
        let first = Reader::open(link.clone(), queue.clone(), held).await?;
        Ok(Self { link: link.clone(), queue, held, open: vec![first], opening: None })
    }

    /// The next message, waiting for it; dropped while it waits, it loses nothing. After an error everything has gone
    /// back: close this and open another.
    pub async fn next(&mut self) -> Result<Read, BrokerError> {
        if self.open.last().is_none_or(|last| last.read >= self.held) {
            let (link, queue, held) = (self.link.clone(), self.queue.clone(), self.held);
            let opening = self.opening.get_or_insert_with(|| tokio::spawn(Reader::open(link, queue, held)));
            let opened = opening.await;
            self.opening = None;
            let failed = |error: JoinError| BrokerError::Unavailable(format!("reading a queue: {error}"));
            self.open.push(opened.map_err(failed)??);
        }
        let lost = |why: String| BrokerError::Unavailable(format!("reading queue {}: {why}", self.queue));
        let (at, next) = poll_fn(|cx| {
            // The last one has the messages; from the others only their end can come.
            for (at, reader) in self.open.iter_mut().enumerate().rev() {
                if let Poll::Ready(next) = Pin::new(&mut reader.consumer).poll_next(cx) {
                    return Poll::Ready((at, next));
                }
            }
            Poll::Pending
        })
        .await;
        if let Some(reader) = self.open.get_mut(at) {
            reader.read = reader.read.saturating_add(1);
        }
        match next {
            Some(Ok(delivery)) => Ok(Read { key: delivery.routing_key.to_string(), body: delivery.data }),
            Some(Err(error)) => Err(lost(error.to_string())),
            // The broker takes a consumer away when messages stay unacked for long, or the queue is deleted.
            None => Err(lost("the broker ended it".into())),
        }
    }

    /// Puts everything back, in order.
    pub async fn close(mut self) {
        if let Some(opening) = self.opening.take()
            && let Ok(Ok(last)) = opening.await
        {
            self.open.push(last);
        }
        if self.open.len() > 1 {
            // What the first channel gives back must not go to the others, which would put it behind their own.
            for reader in &self.open {
                let cancelled = reader.channel.basic_cancel(reader.consumer.tag(), BasicCancelOptions::default());
                let _ = answered("ending a consumer", cancelled).await;
            }
        }
        for reader in self.open {
            topology::close(&reader.channel).await;
            drop(reader.consumer);
        }
    }
}
