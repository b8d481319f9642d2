//! The standing orders of a fleet: one document, kept as the one message of a queue.
//!
//! AMQP has no way to look at a message without taking it, so whoever reads or changes the document holds a lock, and
//! lets it go only when the document is seen in its queue again.

use super::{
    depth::Gauge,
    fault::{PATIENCE, answered},
    link::Link,
    lock::Lock,
    message::Message,
    names::Names,
    own::Own,
    publisher::Publisher,
    walk::{Step, Walk, settled},
};
use crate::{
    broker::{BrokerError, Orders},
    job::LaneName,
};
use jiff::Timestamp;
use lapin::{Consumer, options::BasicAckOptions};
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// The name of the lock.
const LOCK: &str = "orders";
/// How long the broker may take to confirm a new document: it may be blocked, and the lock must not be held for ever.
const CONFIRM: Duration = Duration::from_secs(20);
/// How long a document may take to be back in its queue.
const BACK: Duration = Duration::from_secs(5);

/// The standing orders as they are; the default where there are none yet.
pub async fn read(link: &Link) -> Result<Orders, BrokerError> {
    let lock = Lock::take(link, LOCK).await?;
    let read = async {
        let held = Held::take(link).await?;
        let orders = held.orders();
        held.end(link).await;
        orders
    };
    let read = read.await;
    lock.release().await;
    read
}

/// Changes the standing orders and tells the fleet. Nothing is written where nothing changes.
///
/// A crash halfway leaves the old and the new document; whoever reads them next sees what both of them say, and the
/// next change leaves one. After an error the change may still take effect.
pub async fn change(
    link: &Link,
    publisher: &Publisher,
    now: Timestamp,
    change: impl FnOnce(&mut Orders),
) -> Result<Orders, BrokerError> {
    let lock = Lock::take(link, LOCK).await?;
    let changed = async {
        let held = Held::take(link).await?;
        let before = match held.orders() {
            Ok(orders) => orders,
            Err(error) => {
                held.end(link).await;
                return Err(error);
            }
        };
        let mut orders = before.clone();
        change(&mut orders);
        orders.drop_old(now);
        if orders == before && held.documents.len() <= 1 {
            held.end(link).await;
            return Ok(orders);
        }
        orders.revision = before.revision + 1;
        if let Err(error) = store(publisher, link.names(), &orders).await {
            held.end(link).await;
            return Err(error);
        }
        held.replace(link).await;
        Ok(orders)
    };
    let changed = changed.await;
    lock.release().await;
    let orders = changed?;
    tell(publisher, link.names(), orders.revision).await;
    Ok(orders)
}

/// Adds lanes to the registry, where any is missing: what leaves the config can still hold messages.
pub async fn register(
    link: &Link,
    publisher: &Publisher,
    now: Timestamp,
    lanes: impl IntoIterator<Item = LaneName>,
) -> Result<Orders, BrokerError> {
    change(link, publisher, now, |orders| orders.lanes.extend(lanes)).await
}

async fn store(publisher: &Publisher, names: &Names, orders: &Orders) -> Result<(), BrokerError> {
    let body = serde_json::to_vec(orders)
        .map_err(|error| BrokerError::Storage(format!("the standing orders have no form: {error}")))?;
    let id = format!("orders-{}", orders.revision);
    let publishing = publisher.publish(vec![Message::json(names.direct(), names.orders().to_string(), id, body)]);
    tokio::time::timeout(CONFIRM, publishing).await.unwrap_or_else(|_| {
        Err(BrokerError::Unavailable(format!(
            "the broker did not confirm the change in {CONFIRM:?} (it takes no messages during a memory or disk \
             alarm); the change may still take effect: look with `tagmill status`"
        )))
    })
}

/// Tells the fleet at once. Whoever misses it looks again by himself.
async fn tell(publisher: &Publisher, names: &Names, revision: u64) {
    let body = json!({"tell": "orders", "revision": revision}).to_string().into_bytes();
    let notice =
        Message::json(names.control(), String::new(), format!("orders-{revision}"), body).for_whoever_is_there();
    let _ = tokio::time::timeout(PATIENCE, publisher.publish(vec![notice])).await;
}

/// Documents taken out of the queue, not acked: closing the channel puts them back.
struct Held {
    channel: Own,
    queue: Arc<str>,
    documents: Vec<(u64, Orders)>,
    /// Messages in the queue that are no orders, and what is wrong with the first.
    strange: (u64, Option<String>),
    /// They show that the documents are out, and go after the channel.
    consumers: Vec<Consumer>,
}

impl Held {
    /// Takes all there is.
    async fn take(link: &Link) -> Result<Self, BrokerError> {
        let mut gauge = Gauge::new(link);
        let queue = link.names().orders();
        let depth = settled(&mut gauge, queue).await?;
        gauge.close().await;
        // An empty queue means that nothing is paused: it must be empty, and not only look so.
        let Ok(depth) = depth else {
            return Err(BrokerError::Unavailable(format!(
                "the standing orders are in the hands of somebody who does not let them go: end the consumers of queue \
                 {queue}"
            )));
        };
        let ready = depth.map_or(0, |depth| depth.ready);
        let channel = Own::open(link).await?;
        let mut walk = Walk::new(link, &channel, queue, ready, Step::Whole);
        let (documents, consumers) = (Vec::new(), Vec::new());
        let mut held = Self { channel, queue: queue.clone(), documents, strange: (0, None), consumers };
        while let Some(delivery) = walk.next().await? {
            match serde_json::from_slice(&delivery.data) {
                Ok(orders) => held.documents.push((delivery.delivery_tag, orders)),
                Err(error) => {
                    held.strange.0 += 1;
                    held.strange.1.get_or_insert_with(|| error.to_string());
                }
            }
        }
        held.consumers = walk.into_consumers();
        Ok(held)
    }

    /// What the documents say. An error where there are only strange ones: a lane that somebody has paused must not go
    /// on because of one that cannot be read.
    fn orders(&self) -> Result<Orders, BrokerError> {
        if let (strange @ 1.., why) = &self.strange {
            let (why, queue) = (why.as_deref().unwrap_or_default(), &self.queue);
            let text = format!(
                "{strange} of the messages in queue {queue} are no standing orders ({why}): take them out of the \
                 queue; if nothing is left in it then, nothing is paused and nothing cancelled"
            );
            if self.documents.is_empty() {
                return Err(BrokerError::Storage(text));
            }
            tracing::warn!("{text}");
        }
        let mut all = Orders::default();
        for (_, orders) in &self.documents {
            all.merge(orders.clone());
        }
        Ok(all)
    }

    /// A newer document is in the queue: these go.
    async fn replace(mut self, link: &Link) {
        for (tag, _) in self.documents.drain(..) {
            // An ack that does not arrive leaves a document too many, which the next change removes.
            let acking = self.channel.basic_ack(tag, BasicAckOptions::default());
            if let Err(error) = answered("removing the old standing orders", acking).await {
                tracing::warn!(%error, "the old standing orders stay beside the new ones for now");
            }
        }
        self.end(link).await;
    }

    /// Puts back what is still held, and waits until it is there.
    async fn end(self, link: &Link) {
        self.channel.close().await;
        drop(self.consumers);
        let (mut gauge, queue) = (Gauge::new(link), link.names().orders());
        if !matches!(gauge.wait_for(queue, 0, BACK).await, Ok(true)) {
            tracing::warn!("the standing orders are not back in queue {queue} after {BACK:?}");
        }
        gauge.close().await;
    }
}
