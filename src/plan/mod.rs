//! Pending work to the fewest calls: merge, group keys, cut to limits.
//!
//! Pending work is a table: resources down, tag keys across. A call covers a rectangle of it: up to R resources that
//! share the same values for up to T keys. [`merge`] makes a row of what several jobs ask of one resource, [`grouping`]
//! decides which keys travel together, [`table`] cuts rectangles, oldest work first.

pub mod grouping;
pub mod merge;
pub mod preview;
pub mod symbols;
pub mod table;

pub use merge::Cell;
pub use preview::{Preview, preview};
pub use symbols::Symbols;
pub use table::{Rectangle, RowId, Table};

use crate::call::Op;

/// What one call may carry: the provider's limits, lowered by the config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Resources in one call.
    pub resources: usize,
    /// Tags in one call that sets.
    pub tags: usize,
    /// Keys in one call that unsets.
    pub keys: usize,
}

impl Caps {
    /// For an API that replaces a resource's whole set: one resource a call, with all it has to give, sets and removals
    /// together. Cutting its keys into several writes would save nothing and let late keys take the place of early ones.
    pub const WHOLE: Self = Self { resources: 1, tags: usize::MAX, keys: usize::MAX };

    /// Whether a call takes all that a row has to give.
    pub fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }

    /// How many keys a call of that kind may carry; at least one.
    pub fn columns(&self, op: Op) -> usize {
        match op {
            Op::Set => self.tags,
            Op::Unset => self.keys,
        }
        .max(1)
    }

    /// Calls that a job makes at least where it shares them with no other: so many resources, each with these cells.
    pub fn alone(&self, resources: usize, cells: &[Cell]) -> u64 {
        let sets = cells.iter().filter(|cell| cell.op() == Op::Set).count();
        let (set, unset) = (self.columns(Op::Set), self.columns(Op::Unset));
        let columns = match cells.len() {
            // All that there is for a resource in one call.
            1.. if self.is_whole() => 1,
            all => sets.div_ceil(set) + (all - sets).div_ceil(unset),
        };
        (resources.div_ceil(self.resources.max(1)) * columns) as u64
    }
}
