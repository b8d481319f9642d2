//! Jobs for lanes that nobody declared: each becomes a dead letter that says so, with the bytes of the message.

use super::{
    arrival,
    commit::{CODE, LANE, REASON, TRACE},
    depth::Gauge,
    fault::{answered, told},
    link::Link,
    message::Message,
    publisher::Publisher,
    topology::{Topology, close, short},
};
use crate::{
    broker::BrokerError,
    job::{LaneName, stable_hash},
    worker::clock,
};
use futures_core::Stream as _;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

/// Messages in hand at most: each can be as large as the broker allows.
const PREFETCH: u16 = 8;
/// Wait before something is sent back to where its queue was missing a moment ago.
const AGAIN: Duration = Duration::from_secs(5);
/// The routing key of a dead letter whose lane is no name.
const NO_LANE: &str = "-";

/// Turns what arrives into dead letters until the connection is lost. Of several workers one is handed messages.
pub async fn serve(link: &Link, publisher: &Publisher, topology: Topology) -> Result<(), BrokerError> {
    let channel = link.channel().await?;
    let queue = link.names().unrouted();
    let what = format!("consuming from queue {queue}");
    answered(&what, channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
    let consuming =
        channel.basic_consume(short(queue)?, "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = answered(&what, consuming).await?;
    loop {
        let delivery = match poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(told(&error, &what)),
            None => {
                close(&channel).await;
                return Err(BrokerError::Unavailable(format!("{what}: the broker ended it")));
            }
        };
        // A message of a connection that is gone is with somebody else by now.
        if !delivery.acker.usable() {
            return Ok(());
        }
        pass_on(link, publisher, topology, &channel, delivery).await?;
    }
}

/// To where it belongs, confirmed; only then it is acked.
async fn pass_on(
    link: &Link,
    publisher: &Publisher,
    topology: Topology,
    channel: &Channel,
    delivery: Delivery,
) -> Result<(), BrokerError> {
    let tag = delivery.delivery_tag;
    let message = if *delivery.exchange.as_str() == **link.names().jobs() {
        job(link, delivery).await?
    } else {
        // A document or a note whose queue somebody has deleted. It is made anew, and the message goes there again.
        topology.prepare(link, link.names()).await?;
        tokio::time::sleep(AGAIN).await;
        again(delivery)
    };
    publisher.publish(vec![message]).await?;
    answered("acking an unrouted message", channel.basic_ack(tag, BasicAckOptions::default())).await
}

async fn job(link: &Link, delivery: Delivery) -> Result<Message, BrokerError> {
    let (names, key) = (link.names(), delivery.routing_key.to_string());
    let lane = LaneName::new(&key).ok();
    if let Some(lane) = &lane {
        let mut gauge = Gauge::new(link);
        let is_there = gauge.depth(&names.lane_queue(lane)).await?.is_some();
        gauge.close().await;
        if is_there {
            // Declared since: somebody has put the lane into a config.
            return Ok(again(delivery));
        }
    }
    let why = format!(
        "no worker has ever declared a lane {key:?}: put it into the config of a worker and replay this, or discard it"
    );
    tracing::warn!(%key, "a job for a lane that nobody declared is dead-lettered");
    let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
    let id = id.unwrap_or_else(|| stable_hash(&[&String::from_utf8_lossy(&delivery.data)]));
    let trace = arrival::trace(delivery.properties.headers().as_ref());
    let key = lane.as_ref().map_or_else(|| NO_LANE.to_owned(), ToString::to_string);
    let mut message = Message::json(names.dead(), key, stable_hash(&["unrouted", &id]), delivery.data)
        .with_header(CODE, "unknown_lane")
        .with_header(REASON, &why);
    if let Some(lane) = &lane {
        message = message.with_header(LANE, lane.as_str());
    }
    if let Some(trace) = trace {
        message = message.with_header(TRACE, &trace);
    }
    let timestamp = u64::try_from(clock::wall().as_second()).ok();
    Ok(Message { content_type: "application/octet-stream", timestamp, ..message })
}

/// The message as it was, to where it was sent.
fn again(delivery: Delivery) -> Message {
    let (properties, exchange) = (delivery.properties, Arc::from(delivery.exchange.as_str()));
    let id = properties.message_id().as_ref().map_or_else(String::new, ToString::to_string);
    let raw = properties.content_type().as_ref().is_some_and(|kind| kind.as_str() == "application/octet-stream");
    let message = Message::json(&exchange, delivery.routing_key.to_string(), id, delivery.data);
    Message {
        headers: properties.headers().clone().unwrap_or_default(),
        content_type: if raw { "application/octet-stream" } else { message.content_type },
        priority: properties.priority().unwrap_or(0),
        timestamp: *properties.timestamp(),
        ..message
    }
}
