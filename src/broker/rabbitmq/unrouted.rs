//! Messages that have no queue: a worker makes dead letters of them, so that they end where an operator looks.

use super::{
    dead::{UNKNOWN_LANE, digest, raw_letter, unknown_lane},
    depth::Gauge,
    fault::{answered, told},
    link::Link,
    message::{Message, trace},
    names::Names,
    own::Own,
    publisher::Publisher,
    topology::short,
};
use crate::{
    broker::{BrokerError, RawDeadLetter},
    job::{LaneName, stable_hash},
    worker::clock,
};
use futures_core::Stream as _;
use lapin::{
    Channel, Consumer,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

/// Messages that are settled together.
const BATCH: u16 = 64;
/// Wait after something failed while the connection is up.
const AGAIN: Duration = Duration::from_secs(1);
/// Wait for a queue that somebody has deleted.
const MISSING: Duration = Duration::from_secs(5);

/// Makes a dead letter with the code `unknown_lane` of every message for a lane that nobody has, until the connection is
/// lost. One worker does it at a time. An error is one that no other try will change.
///
/// The bytes stay as they are; the message is acked when the broker has confirmed its dead letter, whose id is the same
/// after a crash. A dead letter or a receipt that ended here, because somebody had deleted its queue, is published again
/// as it was as soon as the queue is back.
pub async fn serve(link: &Link, publisher: &Publisher) -> Result<(), BrokerError> {
    tokio::select! {
        _ = link.lost() => Ok(()),
        error = keep(link, publisher) => Err(error),
    }
}

async fn keep(link: &Link, publisher: &Publisher) -> BrokerError {
    loop {
        match subscribe(link).await {
            Ok((channel, mut consumer)) => {
                let ended = work(link, publisher, &channel, &mut consumer).await;
                // What is not settled goes back; this order, never the other way round.
                channel.close().await;
                drop(consumer);
                match ended {
                    error @ BrokerError::Refused(_) => return error,
                    error if link.is_up() => tracing::warn!(%error, "messages without a queue wait for a moment"),
                    // The loss of the connection is told elsewhere.
                    _ => {}
                }
            }
            Err(error @ BrokerError::Refused(_)) => return error,
            Err(error) => tracing::warn!(%error, "messages without a queue wait for a moment"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn subscribe(link: &Link) -> Result<(Own, Consumer), BrokerError> {
    let channel = Own::open(link).await?;
    let queue = link.names().unrouted();
    let what = format!("consuming from queue {queue}");
    answered(&what, channel.basic_qos(BATCH, BasicQosOptions::default())).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consuming = channel.basic_consume(short(queue)?, "unrouted".into(), options, none);
    let consumer = answered(&what, consuming).await?;
    Ok((channel, consumer))
}

/// Batch after batch, until something fails.
async fn work(link: &Link, publisher: &Publisher, channel: &Channel, consumer: &mut Consumer) -> BrokerError {
    loop {
        let batch = match batch(consumer).await {
            Ok(batch) => batch,
            Err(error) => return error,
        };
        let Some(last) = batch.last().map(|delivery| delivery.delivery_tag) else { continue };
        let mut waiting = Vec::with_capacity(batch.len());
        // A bell rings for a job that is here too; there is nobody to hear it.
        for delivery in batch.into_iter().filter(|delivery| !Message::is_bell(&delivery.data)) {
            let begun = match message(link, delivery).await {
                Ok(message) => publisher.begin(message).await,
                Err(error) => Err(error),
            };
            match begun {
                Ok(promised) => waiting.push(promised),
                Err(error) => return error,
            }
        }
        for promised in waiting {
            if let Err(error) = promised.confirmed().await {
                return error;
            }
        }
        // All of them at once: the broker could forget some of many acks when the channel ends soon after.
        let together = BasicAckOptions { multiple: true };
        if let Err(error) = answered("settling messages without a queue", channel.basic_ack(last, together)).await {
            return error;
        }
    }
}

/// Waits for one, and takes what is there besides.
async fn batch(consumer: &mut Consumer) -> Result<Vec<Delivery>, BrokerError> {
    let mut batch = Vec::new();
    while batch.len() < usize::from(BATCH) {
        let next = if batch.is_empty() {
            poll_fn(|cx| Pin::new(&mut *consumer).poll_next(cx)).await
        } else {
            match poll_fn(|cx| Poll::Ready(Pin::new(&mut *consumer).poll_next(cx))).await {
                Poll::Ready(next) => next,
                Poll::Pending => break,
            }
        };
        match next {
            Some(Ok(delivery)) => batch.push(delivery),
            Some(Err(error)) => return Err(told(&error, "consuming messages without a queue")),
            None => {
                return Err(BrokerError::Unavailable("the consumer of messages without a queue was cancelled".into()));
            }
        }
    }
    Ok(batch)
}

/// What a message becomes.
async fn message(link: &Link, delivery: Delivery) -> Result<Message, BrokerError> {
    let names = link.names();
    for queue in [names.dead(), names.receipts()] {
        if *delivery.exchange.as_str() == **queue {
            there(link, queue).await?;
            return Ok(again(queue, delivery));
        }
    }
    Ok(dead_letter(names, delivery))
}

/// Waits until a queue is there: without it, the message would be back here at once.
async fn there(link: &Link, queue: &str) -> Result<(), BrokerError> {
    let mut gauge = Gauge::new(link);
    while gauge.depth(queue).await?.is_none() {
        tracing::error!(queue, "the queue is gone: start a worker with `topology: declare`, or declare it");
        tokio::time::sleep(MISSING).await;
    }
    gauge.close().await;
    Ok(())
}

/// The message as it was.
fn again(exchange: &Arc<str>, delivery: Delivery) -> Message {
    let properties = &delivery.properties;
    let id = properties.message_id().as_ref().map_or_else(|| digest(&delivery.data), ToString::to_string);
    let is_raw = properties.content_type().as_ref().is_some_and(|kind| kind.as_str() == "application/octet-stream");
    let mut message = Message::json(exchange, delivery.routing_key.to_string(), id, Vec::new());
    message.headers = properties.headers().clone().unwrap_or_default();
    message.priority = properties.priority().unwrap_or_default();
    message.timestamp = *properties.timestamp();
    if is_raw {
        message.content_type = "application/octet-stream";
    }
    message.body = delivery.data.into();
    message
}

fn dead_letter(names: &Names, delivery: Delivery) -> Message {
    let trace = trace(delivery.properties.headers().as_ref());
    let key = delivery.routing_key.as_str();
    let name = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
    let letter = RawDeadLetter {
        // Different messages can have the same name.
        id: stable_hash(&["unrouted", key, &name, &digest(&delivery.data)]),
        lane: LaneName::new(key).ok(),
        code: UNKNOWN_LANE.to_owned(),
        message: unknown_lane(key),
        source: None,
        line: None,
        body: delivery.data,
    };
    raw_letter(names, letter, clock::wall()).with_trace(trace.as_ref())
}
