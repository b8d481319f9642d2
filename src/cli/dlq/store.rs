//! Where dead letters are kept: the embedded queue, or the broker of a fleet. One command, whichever it is.

use crate::{
    broker::{
        BrokerError, DeadCount, DeadEntry, DeadFilter, Pick, StoredDead,
        embedded::{DeadCursor, Embedded, Replayed},
    },
    fleet::Dead,
};

/// Dead letters read at a time.
const PAGE: usize = 500;

/// Dead letters, wherever they are.
pub(super) enum Store {
    Embedded(Embedded),
    Fleet(Box<Dead>),
}

impl Store {
    /// Hands over what passes, page by page, `limit` at most. Returns how many.
    pub(super) async fn entries(
        &self,
        filter: &DeadFilter,
        limit: u64,
        each: &mut (dyn FnMut(&[DeadEntry]) -> anyhow::Result<()> + Send),
    ) -> anyhow::Result<u64> {
        let queue = match self {
            Self::Embedded(queue) => queue,
            Self::Fleet(fleet) => {
                let filter = DeadFilter { limit: Some(limit), ..filter.clone() };
                let (mut all, mut count) = (fleet.entries(&filter).cloned().peekable(), 0);
                while all.peek().is_some() {
                    let page: Vec<DeadEntry> = all.by_ref().take(PAGE).collect();
                    count += page.len() as u64;
                    each(&page)?;
                }
                return Ok(count);
            }
        };
        let mut pages = Pages::new(limit);
        while let Some((after, most)) = pages.next() {
            let page = queue.dead_letters(filter.clone(), after, most).await?;
            each(&page.found)?;
            pages.had(page.found.len(), page.next);
        }
        Ok(limit - pages.left)
    }

    /// Hands over the letters themselves, one after the other.
    pub(super) async fn letters(
        &self,
        filter: &DeadFilter,
        each: &mut (dyn FnMut(&StoredDead) -> anyhow::Result<()> + Send),
    ) -> anyhow::Result<()> {
        let queue = match self {
            Self::Embedded(queue) => queue,
            Self::Fleet(fleet) => {
                return fleet.letters(filter, each).await;
            }
        };
        let mut pages = Pages::new(filter.limit.unwrap_or(u64::MAX));
        while let Some((after, most)) = pages.next() {
            let page = queue.dead_letters_in_full(filter.clone(), after, most).await?;
            page.found.iter().try_for_each(&mut *each)?;
            pages.had(page.found.len(), page.next);
        }
        Ok(())
    }

    /// One letter.
    pub(super) async fn letter(&self, id: &str) -> anyhow::Result<Option<StoredDead>> {
        match self {
            Self::Embedded(queue) => Ok(queue.dead_letter(id).await?),
            Self::Fleet(fleet) => fleet.letter(id).await,
        }
    }

    /// How many are meant; the first id that nobody has, where there is one.
    pub(super) async fn count(&self, pick: &Pick) -> Result<Result<DeadCount, String>, BrokerError> {
        let queue = match self {
            Self::Embedded(queue) => queue,
            Self::Fleet(fleet) => return Ok(fleet.count(pick)),
        };
        let ids = match pick {
            Pick::Matching(filter) => return queue.count_dead(filter.clone()).await.map(Ok),
            Pick::Ids(ids) => ids,
        };
        let mut count = DeadCount::default();
        for id in ids {
            let Some(dead) = queue.dead_letter(id).await? else { return Ok(Err(id.clone())) };
            count.letters += 1;
            count.items += dead.entry.items;
            count.raw += u64::from(dead.entry.raw);
        }
        Ok(Ok(count))
    }

    /// Removes what is meant for good.
    pub(super) async fn discard(&self, pick: Pick) -> Result<Replayed, BrokerError> {
        let fleet = match self {
            Self::Embedded(queue) => return queue.discard(pick).await,
            Self::Fleet(fleet) => fleet,
        };
        let DeadCount { letters, items, raw } = fleet.discard(&pick).await?;
        Ok(Replayed { letters, items, raw, unknown: Vec::new() })
    }
}

/// Pages up to a limit.
struct Pages {
    left: u64,
    after: Option<DeadCursor>,
    is_over: bool,
}

impl Pages {
    fn new(limit: u64) -> Self {
        Self { left: limit, after: None, is_over: false }
    }

    fn next(&self) -> Option<(Option<DeadCursor>, usize)> {
        let most = usize::try_from(self.left).unwrap_or(PAGE).min(PAGE);
        (most > 0 && !self.is_over).then_some((self.after, most))
    }

    fn had(&mut self, found: usize, next: Option<DeadCursor>) {
        self.left = self.left.saturating_sub(found as u64);
        self.after = next;
        self.is_over = next.is_none();
    }
}
