//! The channel of one lane and the consumer on it, which end together and in the right order.

use super::{
    fault::{PATIENCE, answered},
    held::Acks,
    topology::short,
};
use crate::broker::BrokerError;
use futures_core::Stream as _;
use lapin::{
    Channel, Consumer,
    message::Delivery as Arrived,
    options::{
        BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions,
        QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::Instant;

/// Deliveries taken at a time, before anything else has its turn.
const AT_A_TIME: usize = 256;

/// Acks that may be on their way without an answer. The broker hands 32 of them to a queue and keeps more in the channel
/// until those are done; they end with the channel.
const UNHEARD: usize = 16;
/// An ack is taken within this time, or the broker is in trouble that costs us the channel anyway.
const SURELY: Duration = Duration::from_secs(1);

/// Tag of the consumer that waits for acks to be taken.
const SECOND: &str = "waits-for-acks";

/// A consumer on a channel of its own: acks are per channel.
pub(super) struct LaneChannel {
    channel: Channel,
    consumer: Option<Consumer>,
    /// Consumers there were: each has a tag of its own.
    consumers: usize,
    worker: String,
    queue: String,
    prefetch: u16,
    priority: i32,
    /// Acks that were written and may not have been taken.
    unheard: usize,
    /// When the last one was written.
    acked: Instant,
}

impl LaneChannel {
    /// A channel for one queue, without a consumer.
    pub(super) fn new(channel: Channel, queue: String, worker: &str, prefetch: u16, weight: i32) -> Self {
        let (consumer, worker, acked) = (None, worker.to_owned(), Instant::now());
        Self { channel, consumer, consumers: 0, worker, queue, prefetch, priority: weight, unheard: 0, acked }
    }

    /// Subscribes to the queue. Among workers that wait, RabbitMQ 4 lets in the highest `weight`, RabbitMQ 3 the one that
    /// has been waiting longest.
    pub(super) async fn subscribe(&mut self) -> Result<(), BrokerError> {
        let what = format!("consuming from {}", self.queue);
        // Never for the whole channel: a quorum queue closes the connection for it.
        let qos = self.channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        answered(&what, qos).await?;
        let tag = match self.consumers {
            0 => self.worker.clone(),
            n => format!("{}.{n}", self.worker),
        };
        let (options, priority) = (BasicConsumeOptions::default(), priority(self.priority));
        let consume = self.channel.basic_consume(short(&self.queue)?, short(&tag)?, options, priority);
        self.consumer = Some(answered(&what, consume).await?);
        self.consumers += 1;
        Ok(())
    }

    /// Whether it has a consumer.
    pub(super) fn is_subscribed(&self) -> bool {
        self.consumer.is_some()
    }

    /// Ends the consumer; appends what came until then and is to be acked all the same. Whatever was acked before is
    /// taken by the queue when this returns. To be asked only where nobody else may have the queue next.
    pub(super) async fn unsubscribe(&mut self, into: &mut Vec<Arrived>) -> Result<(), String> {
        let Some(mut consumer) = self.consumer.take() else { return Ok(()) };
        let cancel = self.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default());
        answered("ending a consumer", cancel).await.map_err(|error| error.to_string())?;
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(one)) = Pin::new(&mut consumer).poll_next(&mut cx) {
            into.push(one.map_err(|error| error.to_string())?);
        }
        self.unheard = 0;
        Ok(())
    }

    /// The channel, to ask whether it is alive.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Waits for deliveries and appends what is there. Dropping the future loses nothing.
    ///
    /// An error means that all of them are worth nothing any more. The library goes on yielding what it has when a
    /// connection is long gone, so each one is asked whether it still means anything.
    pub(super) async fn arrivals(&mut self, into: &mut Vec<Arrived>) -> Result<(), String> {
        poll_fn(|cx| self.poll_arrivals(cx, into)).await
    }

    /// Appends what is there already.
    pub(super) fn arrived(&mut self, into: &mut Vec<Arrived>) -> Result<(), String> {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(taken) = self.poll_arrivals(&mut cx, into) {
            taken?;
        }
        Ok(())
    }

    fn poll_arrivals(&mut self, cx: &mut Context<'_>, into: &mut Vec<Arrived>) -> Poll<Result<(), String>> {
        let Some(consumer) = &mut self.consumer else { return Poll::Pending };
        let before = into.len();
        while into.len() < before + AT_A_TIME {
            match Pin::new(&mut *consumer).poll_next(cx) {
                Poll::Ready(Some(Ok(one))) if one.acker.usable() => into.push(one),
                Poll::Ready(Some(Ok(_))) => return Poll::Ready(Err("the channel was closed".into())),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.to_string())),
                // The queue was deleted, or the broker ended the consumer (RabbitMQ 4.3, when an ack is overdue).
                Poll::Ready(None) => return Poll::Ready(Err("the broker ended the consumer".into())),
                Poll::Pending if into.len() == before => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Acks, and waits until no loss of this channel can undo it; after an error the broker may have heard of none, of
    /// some, or of all of them.
    pub(super) async fn ack(&mut self, acks: &Acks) -> Result<(), String> {
        let first = acks.up_to.iter().map(|tag| (*tag, true));
        let rest = acks.singles.iter().map(|tag| (*tag, false));
        let written = first.chain(rest).map(|(tag, multiple)| {
            let channel = self.channel.clone();
            async move { channel.basic_ack(tag, BasicAckOptions { multiple }).await }
        });
        self.written("acking", written).await?;
        if self.acked.elapsed() > SURELY {
            self.unheard = 0;
        }
        self.acked = Instant::now();
        self.unheard += acks.singles.len() + usize::from(acks.up_to.is_some());
        if self.unheard > UNHEARD { self.heard().await } else { self.answered().await }
    }

    /// Waits until the channel has done what it was told: a connection that ends takes what is still unread with it.
    async fn answered(&self) -> Result<(), String> {
        // The prefetch is that of consumers to come; there will be none.
        let qos = self.channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        answered("waiting for the channel", qos).await.map_err(|error| error.to_string())
    }

    /// Waits until the queue has taken every ack.
    ///
    /// The protocol has no answer to an ack, and asking for something else says nothing: the queue answers before it has
    /// done what it was told. But a consumer that comes, and one that goes, are told to it in turn with the acks, and
    /// answered when done. This one waits behind ours for a moment and is never handed anything.
    async fn heard(&mut self) -> Result<(), String> {
        let what = "waiting for acks to be taken";
        let queue = short(&self.queue).map_err(|error| error.to_string())?;
        let options = BasicConsumeOptions::default();
        let consume = self.channel.basic_consume(queue, SECOND.into(), options, priority(self.priority));
        let mut second = answered(what, consume).await.map_err(|error| error.to_string())?;
        let cancel = self.channel.basic_cancel(SECOND.into(), BasicCancelOptions::default());
        answered(what, cancel).await.map_err(|error| error.to_string())?;
        let handed = Pin::new(&mut second).poll_next(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Some(_)) = handed {
            return Err("the broker has handed the lane on".into());
        }
        self.unheard = 0;
        Ok(())
    }

    /// Gives messages back one by one, in this order.
    pub(super) async fn requeue(&self, tags: &[u64]) -> Result<(), String> {
        let written = tags.iter().map(|tag| {
            let (channel, tag) = (self.channel.clone(), *tag);
            async move { channel.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await }
        });
        self.written("giving back", written).await
    }

    /// Starts all of these in order and waits for them together: each waits for the socket.
    async fn written<F>(&self, what: &str, words: impl Iterator<Item = F>) -> Result<(), String>
    where
        F: Future<Output = lapin::Result<()>> + Send,
    {
        let mut open: Vec<Pin<Box<F>>> = words.map(Box::pin).collect();
        let mut failed = None;
        let all = poll_fn(|cx| {
            open.retain_mut(|word| match word.as_mut().poll(cx) {
                Poll::Ready(outcome) => {
                    failed = failed.take().or(outcome.err());
                    false
                }
                Poll::Pending => true,
            });
            if open.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(()) => failed.map_or(Ok(()), |error| Err(format!("{what}: {error}"))),
            Err(_) => Err(format!("{what}: nothing could be written in {PATIENCE:?}")),
        }
    }

    /// Messages that wait in the queue and are with nobody.
    pub(super) async fn ready(&self) -> Result<u32, String> {
        self.depth().await.map(|(ready, _)| ready)
    }

    /// The same, and whether somebody is handed them.
    pub(super) async fn depth(&self) -> Result<(u32, bool), String> {
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let queue = short(&self.queue).map_err(|error| error.to_string())?;
        let asked = self.channel.queue_declare(queue, passive, FieldTable::default());
        let answer = answered("asking for the length of the queue", asked).await;
        let depth = answer.map_err(|error| error.to_string())?;
        Ok((depth.message_count(), depth.consumer_count() > 0))
    }

    /// Takes up everything that the broker has handed out by now.
    pub(super) async fn caught_up(&mut self, into: &mut Vec<Arrived>) -> Result<(), String> {
        // What the queue had sent before the first answer, the channel has written before the second.
        self.ready().await?;
        self.answered().await?;
        self.arrived(into)
    }

    /// Ends it: what is not acked goes back to the head of its queue, in order, before this returns. False when the
    /// broker did not answer.
    pub(super) async fn close(&self) -> bool {
        if !self.channel.status().connected() {
            return true;
        }
        tokio::time::timeout(PATIENCE, self.channel.close(200, "bye".into())).await.is_ok()
    }
}

fn priority(weight: i32) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongInt(weight));
    arguments
}

impl Drop for LaneChannel {
    fn drop(&mut self) {
        // A consumer that goes first is cancelled, and then the next worker starts with messages that come later than
        // ours. Asking to close is enough to keep that from happening; the answer comes to nobody.
        if self.channel.status().connected() {
            let closing = pin!(self.channel.close(200, "bye".into()));
            let _ = closing.poll(&mut Context::from_waker(Waker::noop()));
        }
    }
}
