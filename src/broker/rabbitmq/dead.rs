//! Dead letters on the broker: looked at without being taken, sent again, thrown away.

mod index;
mod letter;
mod reading;
mod replay;
mod seen;

pub use index::{Index, Picked};
pub use letter::raw as raw_letter;
pub use replay::{Replay, Sent};
pub(super) use seen::{UNKNOWN_LANE, digest, unknown_lane};

use super::{link::Link, walk::Step};
use crate::broker::{BrokerError, DeadCount, StoredDead};
use jiff::Timestamp;
use reading::Reading;

/// The dead letters of a fleet: those that workers have published, jobs that were handed out too often, and messages
/// for lanes that nobody has. One command at a time looks at them.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    link: Link,
}

impl DeadLetters {
    /// Those of the broker at the other end.
    pub fn new(link: Link) -> Self {
        Self { link }
    }

    /// Looks at all of them. Everything stays where it is, in its order.
    pub async fn index(&self, now: Timestamp) -> Result<Index, BrokerError> {
        let mut reading = Reading::begin(&self.link, Step::Whole).await?;
        let mut index = Index::new(self.link.names().clone());
        let read = async {
            while let Some((place, delivery)) = reading.next().await? {
                index.add(place, delivery, now);
            }
            Ok(())
        };
        let read = read.await;
        index.unseen = reading.unseen();
        reading.end().await;
        read.map(|()| index)
    }

    /// When each letter was recorded, in the order of their queue, where they are no more than `most`: else nothing.
    /// `now` stands for a time that nobody has written down. `InUse` where somebody is looking at them at this moment.
    pub async fn times(&self, most: u64, now: Timestamp) -> Result<Vec<Timestamp>, BrokerError> {
        let mut reading = Reading::few(&self.link, most).await?;
        let mut times = Vec::new();
        let read = async {
            while let Some((_, delivery)) = reading.next().await? {
                times.push(seen::published_at(&delivery).unwrap_or(now));
            }
            Ok(())
        };
        let read = read.await;
        reading.end().await;
        read.map(|()| times)
    }

    /// Hands the picked ones over with their bodies, in their order, one at a time.
    pub async fn read<E: From<BrokerError>>(
        &self,
        index: &Index,
        picked: &Picked,
        now: Timestamp,
        mut each: impl FnMut(StoredDead) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reading = Reading::begin(&self.link, index.step()).await?;
        let read = async {
            let mut pass = Pass::over(index, picked, now);
            while let Some((place, delivery)) = reading.next().await? {
                if let Some((at, true)) = pass.meet(place, &delivery)
                    && let Some(dead) = pass.stored(at, delivery.data)
                {
                    each(dead)?;
                }
            }
            Ok(())
        };
        let read = read.await;
        reading.end().await;
        read
    }

    /// Removes the picked ones for good.
    pub async fn discard(&self, index: &Index, picked: &Picked, now: Timestamp) -> Result<DeadCount, BrokerError> {
        let mut reading = Reading::begin(&self.link, index.step()).await?;
        let mut count = DeadCount::default();
        let discarded = async {
            let mut pass = Pass::over(index, picked, now);
            while let Some((place, delivery)) = reading.next().await? {
                let Some((at, is_first)) = pass.meet(place, &delivery) else { continue };
                reading.ack(place, delivery.delivery_tag).await?;
                if let (true, Some(letter)) = (is_first, index.letters.get(at)) {
                    count.letters += 1;
                    count.items += letter.entry.items;
                    count.raw += u64::from(letter.entry.raw);
                }
            }
            Ok(())
        };
        let discarded = discarded.await;
        reading.end().await;
        discarded.map(|()| count)
    }
}

/// A second pass over what an index has seen. What has come since is left alone.
struct Pass<'i> {
    index: &'i Index,
    picked: &'i Picked,
    now: Timestamp,
    met: Vec<bool>,
}

impl<'i> Pass<'i> {
    fn over(index: &'i Index, picked: &'i Picked, now: Timestamp) -> Self {
        Self { index, picked, now, met: vec![false; index.letters.len()] }
    }

    /// The place of a message that is picked, and whether it is the first one of its letter.
    fn meet(&mut self, place: reading::Place, delivery: &lapin::message::Delivery) -> Option<(usize, bool)> {
        let at = self.index.find(place, delivery, self.now).filter(|at| self.picked.has(*at))?;
        let met = self.met.get_mut(at)?;
        Some((at, !std::mem::replace(met, true)))
    }

    /// The letter at a place; `body` is that of its first message, and the last one stands.
    fn stored(&self, at: usize, body: Vec<u8>) -> Option<StoredDead> {
        let letter = self.index.letters.get(at)?;
        Some(StoredDead { entry: letter.entry.clone(), body: letter.last.clone().unwrap_or(body) })
    }
}
