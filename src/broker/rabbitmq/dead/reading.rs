//! All queues with dead letters, one after the other, under one lock; at the end everything is where it was.

use super::walk::Walk;
use crate::broker::{
    BrokerError,
    rabbitmq::{
        depth::{Depth, Gauge},
        fault::answered,
        flush::flush,
        link::Link,
        lock::Lock,
        names::Names,
        topology::close,
    },
};
use lapin::{Channel, message::Delivery, options::BasicAckOptions};
use std::{collections::VecDeque, time::Duration};

/// The name of the lock.
const LOCK: &str = "dead";
/// How long the letters may take to be back in their queues.
const BACK: Duration = Duration::from_secs(30);
/// Looks at the queues until two in a row see the same; in a fleet at work that may never be.
const LOOKS: usize = 6;
/// Wait between two of them.
const LOOK: Duration = Duration::from_millis(80);

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Dead letters that workers have published.
    Dead,
    /// Jobs that were handed out too often.
    Poison,
    /// Messages for which there is no queue.
    Unrouted,
}

impl Place {
    pub(super) fn queue(self, names: &Names) -> &str {
        match self {
            Self::Dead => names.dead(),
            Self::Poison => names.poison(),
            Self::Unrouted => names.unrouted(),
        }
    }
}

/// A message and where it lies.
pub(super) type Found = (Place, Delivery);

/// One pass over all of them.
pub(super) struct Reading<'l> {
    held: Held,
    todo: VecDeque<(Place, Walk<'l>)>,
    unseen: u64,
}

impl<'l> Reading<'l> {
    pub(super) async fn begin(link: &'l Link) -> Result<Self, BrokerError> {
        let lock = Lock::take(link, LOCK).await?;
        let (channel, mut gauge) = (link.channel().await?, Gauge::new(link));
        let (mut todo, mut out) = (VecDeque::new(), Vec::new());
        for (place, depth) in settled(&mut gauge, link.names()).await? {
            let single = place == Place::Unrouted;
            // A worker is about to make dead letters of those.
            if depth.ready > 0 && !(single && depth.consumers > 0) {
                todo.push_back((place, Walk::new(link, &channel, place.queue(link.names()), depth.ready, single)));
                out.push((place, 0));
            }
        }
        gauge.close().await;
        Ok(Self {
            held: Held { link: link.clone(), lock: Some(lock), channel, out, acked: Vec::new() },
            todo,
            unseen: 0,
        })
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, BrokerError> {
        while let Some((place, walk)) = self.todo.front_mut() {
            let place = *place;
            let found = walk.next().await?;
            self.held.count(place, walk.taken());
            if let Some(delivery) = found {
                return Ok(Some((place, delivery)));
            }
            self.unseen += walk.left();
            self.todo.pop_front();
        }
        Ok(None)
    }

    /// Messages that could not be seen.
    pub(super) fn unseen(&self) -> u64 {
        self.unseen
    }

    /// Removes a message for good.
    pub(super) async fn ack(&mut self, place: Place, tag: u64) -> Result<(), BrokerError> {
        let what = format!("removing a message from queue {}", place.queue(self.held.link.names()));
        answered(&what, self.held.channel.basic_ack(tag, BasicAckOptions::default())).await?;
        self.held.count(place, -1);
        if !self.held.acked.contains(&place) {
            self.held.acked.push(place);
        }
        Ok(())
    }

    /// Puts back what was not removed, and waits until it is there: whoever looks next shall not miss any.
    pub(super) async fn end(mut self) {
        self.held.give_back().await;
    }
}

/// The depth of each queue that is there. When the one before us was killed, its messages come back at about the time
/// its lock goes: whoever took some of them before all are back would put them back in another order.
async fn settled(gauge: &mut Gauge<'_>, names: &Names) -> Result<Vec<(Place, Depth)>, BrokerError> {
    let mut before = Vec::new();
    for _ in 0..LOOKS {
        let mut now = Vec::new();
        for place in [Place::Dead, Place::Poison, Place::Unrouted] {
            if let Some(depth) = gauge.depth(place.queue(names)).await? {
                now.push((place, depth));
            }
        }
        if now == before {
            break;
        }
        before = now;
        tokio::time::sleep(LOOK).await;
    }
    Ok(before)
}

/// What is out of the queues because of us, and the lock that keeps others from looking meanwhile.
struct Held {
    link: Link,
    /// None when everything has been given back.
    lock: Option<Lock>,
    channel: Channel,
    /// How many messages of each queue.
    out: Vec<(Place, u64)>,
    /// The queues of which some were removed.
    acked: Vec<Place>,
}

impl Held {
    fn count(&mut self, place: Place, change: i64) {
        if let Some((_, out)) = self.out.iter_mut().find(|(other, _)| *other == place) {
            *out = out.saturating_add_signed(change);
        }
    }

    async fn give_back(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        give_back(&self.link, &self.channel, &self.out, &self.acked, lock).await;
    }
}

async fn give_back(link: &Link, channel: &Channel, out: &[(Place, u64)], acked: &[Place], lock: Lock) {
    for place in acked {
        if let Err(error) = flush(channel, place.queue(link.names())).await {
            tracing::warn!(%error, "some of the dead letters may still be there");
        }
    }
    close(channel).await;
    let mut gauge = Gauge::new(link);
    for (place, out) in out {
        if link.is_up() && !matches!(gauge.wait_for(place.queue(link.names()), *out, BACK).await, Ok(true)) {
            tracing::warn!(
                queue = place.queue(link.names()),
                "the dead letters take their time to be back in their queue"
            );
        }
    }
    gauge.close().await;
    lock.release().await;
}

/// A pass that is given up halfway puts everything back before it lets the next one look.
impl Drop for Held {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (link, channel) = (self.link.clone(), self.channel.clone());
            let (out, acked) = (std::mem::take(&mut self.out), std::mem::take(&mut self.acked));
            runtime.spawn(async move { give_back(&link, &channel, &out, &acked, lock).await });
        }
    }
}
