//! The dead letters of a fleet, as they were when they were first looked at.

use super::desk::Desk;
use crate::broker::{
    BrokerError, DeadCount, DeadEntry, DeadFilter, Pick, StoredDead,
    rabbitmq::dead::{DeadLetters, Index, Picked, Replay},
};
use jiff::Timestamp;

/// The dead letters of a fleet.
pub struct Dead {
    desk: Desk,
    letters: DeadLetters,
    index: Index,
    now: Timestamp,
}

impl Dead {
    /// Looks at all of them.
    pub async fn open(desk: Desk, now: Timestamp) -> Result<Self, BrokerError> {
        let letters = DeadLetters::new(desk.link.clone());
        let index = letters.index(now).await?;
        Ok(Self { desk, letters, index, now })
    }

    /// Messages without a queue that could not be looked at.
    pub fn unseen(&self) -> u64 {
        self.index.unseen()
    }

    /// Those that pass, in the order in which their jobs arrived.
    pub fn entries(&self, filter: &DeadFilter) -> impl Iterator<Item = &DeadEntry> {
        self.index.entries(filter)
    }

    /// How many are meant; the first id that nobody has, where there is one.
    pub fn count(&self, pick: &Pick) -> Result<DeadCount, String> {
        self.index.pick(pick).map(|picked| picked.count())
    }

    /// What was picked, unless one of the ids is not there any more.
    fn picked(&self, pick: &Pick) -> Result<Picked, BrokerError> {
        let gone = |id| BrokerError::Storage(format!("the dead letter {id} is not there any more"));
        self.index.pick(pick).map_err(gone)
    }

    /// Hands over the letters themselves, one after the other.
    pub async fn letters<E: From<BrokerError>>(
        &self,
        filter: &DeadFilter,
        mut each: impl FnMut(&StoredDead) -> Result<(), E>,
    ) -> Result<(), E> {
        let picked = self.picked(&Pick::Matching(filter.clone()))?;
        self.letters.read(&self.index, &picked, self.now, |dead| each(&dead)).await
    }

    /// One letter.
    pub async fn letter<E: From<BrokerError>>(&self, id: &str) -> Result<Option<StoredDead>, E> {
        let Ok(picked) = self.index.pick(&Pick::Ids(vec![id.to_owned()])) else { return Ok(None) };
        let mut found = None;
        let keep = |dead| {
            found = Some(dead);
            Ok::<(), E>(())
        };
        self.letters.read(&self.index, &picked, self.now, keep).await?;
        Ok(found)
    }

    /// Sends what is meant again, as new work.
    pub async fn replay(&self, pick: &Pick) -> Result<Replay, BrokerError> {
        let publisher = self.desk.publisher();
        Ok(self.letters.replay(&publisher, &self.index, &self.picked(pick)?, self.now).await)
    }

    /// Removes what is meant for good.
    pub async fn discard(&self, pick: &Pick) -> Result<DeadCount, BrokerError> {
        self.letters.discard(&self.index, &self.picked(pick)?, self.now).await
    }

    /// Says goodbye.
    pub async fn close(&self) {
        self.desk.close().await;
    }
}
