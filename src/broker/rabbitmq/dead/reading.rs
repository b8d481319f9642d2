//! All queues with dead letters, one after the other, under one lock; at the end everything is where it was.

use crate::broker::{
    BrokerError,
    rabbitmq::{
        depth::Gauge,
        fault::answered,
        flush::flush,
        link::Link,
        lock::Lock,
        names::Names,
        own::Own,
        walk::{Step, Walk, settled},
    },
};
use lapin::{message::Delivery, options::BasicAckOptions};
use std::{collections::VecDeque, time::Duration};

/// The name of the lock.
const LOCK: &str = "dead";
/// How long the letters may take to be back in their queues.
const BACK: Duration = Duration::from_secs(30);

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
    /// Walks that have come to their end. Their consumers go with the channel.
    done: Vec<Walk<'l>>,
    unseen: u64,
}

impl<'l> Reading<'l> {
    /// Begins a pass that takes so much in one moment.
    pub(super) async fn begin(link: &'l Link, step: Step) -> Result<Self, BrokerError> {
        let lock = Lock::take(link, LOCK).await?;
        Self::over(link, lock, &[Place::Dead, Place::Poison, Place::Unrouted], step, u64::MAX).await
    }

    /// Begins a pass over the dead letters alone, where they are no more than `most`: else over none. A part of them is
    /// never taken: it would come back behind the others. `InUse` where somebody looks at them already.
    pub(super) async fn few(link: &'l Link, most: u64) -> Result<Self, BrokerError> {
        let lock = Lock::take_within(link, LOCK, Duration::ZERO).await?;
        Self::over(link, lock, &[Place::Dead], Step::Whole, most).await
    }

    /// Begins a pass over all of these queues that have no more than `most` messages.
    async fn over(link: &'l Link, lock: Lock, places: &[Place], step: Step, most: u64) -> Result<Self, BrokerError> {
        let (channel, mut gauge) = (Own::open(link).await?, Gauge::new(link));
        let (mut todo, mut others) = (VecDeque::new(), Vec::new());
        for place in places.iter().copied() {
            let queue = place.queue(link.names());
            let depth = match place {
                Place::Unrouted => gauge.depth(queue).await?,
                // Somebody else may read dead letters by his own means.
                _ => settled(&mut gauge, queue).await?.unwrap_or_else(Some),
            };
            let Some(depth) = depth else { continue };
            let step = if place == Place::Unrouted { Step::Single } else { step };
            // A worker is about to make dead letters of those.
            if depth.ready > 0 && depth.ready <= most && !(step == Step::Single && depth.consumers > 0) {
                todo.push_back((place, Walk::new(link, &channel, queue, depth.ready, step)));
                others.push((place, depth.consumers));
            }
        }
        gauge.close().await;
        Ok(Self {
            held: Held { link: link.clone(), lock: Some(lock), channel: Some(channel), others, acked: Vec::new() },
            todo,
            done: Vec::new(),
            unseen: 0,
        })
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, BrokerError> {
        while let Some((place, walk)) = self.todo.front_mut() {
            let place = *place;
            let found = walk.next().await?;
            if let Some(delivery) = found {
                return Ok(Some((place, delivery)));
            }
            self.unseen += walk.left();
            self.done.extend(self.todo.pop_front().map(|(_, walk)| walk));
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
        let Some(channel) = &self.held.channel else { return Ok(()) };
        answered(&what, channel.basic_ack(tag, BasicAckOptions::default())).await?;
        if !self.held.acked.contains(&place) {
            self.held.acked.push(place);
        }
        Ok(())
    }

    /// Puts back what was not removed, and waits until it is there: whoever looks next shall not miss any.
    pub(super) async fn end(mut self) {
        if let Some((lock, channel, others, acked)) = self.held.taken() {
            give_back(&self.held.link, lock, channel, &others, &acked).await;
        }
    }
}

/// What has to be given back: the lock, the channel, the consumers of others, the queues to be sure of.
type Taken = (Lock, Own, Vec<(Place, u64)>, Vec<Place>);

/// What is out of the queues because of us, and the lock that keeps others from looking meanwhile.
struct Held {
    link: Link,
    /// None when everything has been given back.
    lock: Option<Lock>,
    channel: Option<Own>,
    /// Consumers that each queue has without us.
    others: Vec<(Place, u64)>,
    /// The queues of which some were removed.
    acked: Vec<Place>,
}

impl Held {
    /// The same, without the duty to give it back.
    fn taken(&mut self) -> Option<Taken> {
        let (others, acked) = (std::mem::take(&mut self.others), std::mem::take(&mut self.acked));
        Some((self.lock.take()?, self.channel.take()?, others, acked))
    }
}

async fn give_back(link: &Link, lock: Lock, channel: Own, others: &[(Place, u64)], acked: &[Place]) {
    for place in acked {
        if let Err(error) = flush(&channel, place.queue(link.names())).await {
            tracing::warn!(%error, "some of the dead letters may still be there");
        }
    }
    channel.close().await;
    let mut gauge = Gauge::new(link);
    for (place, others) in others {
        if link.is_up() && !matches!(gauge.wait_for(place.queue(link.names()), *others, BACK).await, Ok(true)) {
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
        let Some((lock, channel, others, acked)) = self.taken() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let link = self.link.clone();
            runtime.spawn(async move { give_back(&link, lock, channel, &others, &acked).await });
        }
    }
}
