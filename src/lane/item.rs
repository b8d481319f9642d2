//! One resource of one job on its way through a lane, and the order in which such items take effect.

use super::ledger::{JobKey, Ledger};
use crate::plan::Cell;
use std::time::Duration;

/// Which cells of an item have been carried out.
#[derive(Clone, Debug, Default)]
pub struct Done {
    first: u64,
    more: Option<Box<[u64]>>,
}

impl Done {
    /// Whether the cell at that place has been.
    pub fn has(&self, at: usize) -> bool {
        let word = if at < 64 { Some(&self.first) } else { self.more.as_ref().and_then(|more| more.get(at / 64 - 1)) };
        word.is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// It has been; the item has `of` cells.
    pub fn set(&mut self, at: usize, of: usize) {
        let word = if at < 64 {
            Some(&mut self.first)
        } else {
            let more = self.more.get_or_insert_with(|| vec![0; of.div_ceil(64)].into_boxed_slice());
            more.get_mut(at / 64 - 1)
        };
        if let Some(word) = word {
            *word |= 1 << (at % 64);
        }
    }
}

/// One resource of one job.
#[derive(Clone, Debug)]
pub struct Item {
    /// The job.
    pub job: JobKey,
    /// The resource's place in the job.
    pub index: u32,
    /// Arrival order in the lane.
    pub seq: u64,
    /// It goes ahead of bulk work.
    pub urgent: bool,
    /// What of it has been carried out.
    pub done: Done,
    /// A later job's value took the place of one of its own.
    pub superseded: bool,
    /// The provider found all of it right already, so far.
    pub unchanged: bool,
    /// Attempts spent.
    pub attempts: u32,
    /// When its first call left, on the clock that stands still in pauses.
    pub first_attempt: Option<Duration>,
}

/// Whether a call with these cells speaks for an item with its own.
pub fn touches(own: &[Cell], cells: &[Cell]) -> bool {
    own.iter().any(|cell| cells.iter().any(|other| other.fold == cell.fold))
}

/// Arrival order among items of one priority; across priorities the later creation takes effect later. True when the
/// new item went before another.
pub fn insert_in_order(items: &mut Vec<Item>, item: Item, ledger: &Ledger) -> bool {
    let created = |item: &Item| ledger.get(item.job).map(|record| record.created);
    let mut at = items.len();
    while let Some(before) = at.checked_sub(1).and_then(|before| items.get(before)) {
        if before.urgent == item.urgent || created(before) <= created(&item) {
            break;
        }
        at -= 1;
    }
    let overtaken = at < items.len();
    items.insert(at, item);
    overtaken
}
