//! What several jobs ask of one resource, as one row: for each key the last word wins.

use super::symbols::{Symbol, Symbols};
use crate::call::Op;
use std::sync::Arc;

/// The value of a cell that removes its key.
pub const REMOVE: Symbol = Symbol::MAX;

/// The bit of a value that is set only where its key is missing.
const GENTLE: Symbol = 1 << (Symbol::BITS - 1);

/// One key of one row, and what it shall become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The key.
    pub key: Symbol,
    /// The key's identity: keys that differ only in case are one key on some clouds.
    pub fold: Symbol,
    /// The value, or [`REMOVE`]; with one bit more where it is set only if the key is missing: see [`Cell::text`].
    pub value: Symbol,
}

impl Cell {
    /// Whether the cell sets or removes.
    pub fn op(&self) -> Op {
        if self.value == REMOVE { Op::Unset } else { Op::Set }
    }

    /// The value's text; none where the key is removed.
    pub fn text(&self) -> Option<Symbol> {
        (self.value != REMOVE).then_some(self.value & !GENTLE)
    }

    /// Whether the key keeps the value it has, and is set only where it has none.
    pub fn is_gentle(&self) -> bool {
        self.value != REMOVE && self.value & GENTLE != 0
    }

    /// What this cell and an earlier one of the same key do together.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        match (self.is_gentle(), earlier.op()) {
            (false, _) => self,
            // Whatever the earlier one leaves there stays.
            (true, Op::Set) => earlier,
            // It is missing by then.
            (true, Op::Unset) => Self { value: self.value & !GENTLE, ..self },
        }
    }

    /// The column the cell stands in: its key, and whether it is set or removed there.
    pub fn column(&self) -> (Symbol, Op) {
        (self.key, self.op())
    }
}

/// The cells of a job: what it sets, then what it removes, each in byte order of the keys. Holds every symbol. `gentle`
/// says that what it sets is set only where it is missing.
pub fn cells_of<'a>(
    symbols: &mut Symbols,
    set: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
    unset: impl Iterator<Item = &'a Arc<str>>,
    gentle: bool,
    fold: impl Fn(&str) -> String,
) -> Box<[Cell]> {
    let mut cells = Vec::new();
    for (key, value) in set {
        let (symbol, folded) = symbols.hold_key(key, &fold(key));
        let value = symbols.hold(value) | if gentle { GENTLE } else { 0 };
        cells.push(Cell { key: symbol, fold: folded, value });
    }
    for key in unset {
        let (symbol, folded) = symbols.hold_key(key, &fold(key));
        cells.push(Cell { key: symbol, fold: folded, value: REMOVE });
    }
    cells.into_boxed_slice()
}

/// Gives back every symbol of a job's cells.
pub fn release(symbols: &mut Symbols, cells: &[Cell]) {
    for cell in cells {
        symbols.release(cell.key);
        symbols.release(cell.fold);
        if let Some(value) = cell.text() {
            symbols.release(value);
        }
    }
}

/// The row that does what `wishes` ask, one after the other. Each wish lists a job's cells and tells which are done.
///
/// For each key the last wish that names it decides; if that wish has been carried out, the key is done. One that sets
/// only what is missing decides together with the one before it, where that has not been carried out. Sets come before
/// removals, and within each the keys are in byte order.
pub fn merge<'a, W>(symbols: &Symbols, mut wishes: impl Iterator<Item = W>) -> Vec<Cell>
where
    W: Iterator<Item = (&'a Cell, bool)>,
{
    let Some(first) = wishes.next() else { return Vec::new() };
    let Some(second) = wishes.next() else {
        let mut cells = Vec::with_capacity(first.size_hint().1.unwrap_or_default());
        cells.extend(first.filter(|(_, done)| !done).map(|(cell, _)| *cell));
        return cells;
    };
    let mut row: Vec<(Cell, bool)> = Vec::new();
    for wish in [first, second].into_iter().chain(wishes) {
        let known = row.len();
        for (cell, done) in wish {
            // Only earlier wishes can name the same key: within one job keys are distinct.
            match row.iter_mut().take(known).find(|(old, _)| old.fold == cell.fold) {
                Some((old, false)) if cell.is_gentle() => *old = cell.after(*old),
                Some(old) => *old = (*cell, done),
                None => row.push((*cell, done)),
            }
        }
    }
    let mut cells: Vec<Cell> = row.into_iter().filter(|(_, done)| !done).map(|(cell, _)| cell).collect();
    sort(symbols, &mut cells);
    cells
}

/// The order of a row's cells: sets before removals, each in byte order of the keys.
pub fn sort(symbols: &Symbols, cells: &mut [Cell]) {
    cells.sort_by(|a, b| a.op().cmp(&b.op()).then_with(|| symbols.peek(a.key).cmp(symbols.peek(b.key))));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of one key after these wishes, one after the other, where it had that value before.
    fn one_by_one(before: Option<u32>, wishes: &[(Cell, bool)]) -> Option<u32> {
        wishes.iter().fold(before, |held, (cell, _)| apply(held, cell))
    }

    fn apply(held: Option<u32>, cell: &Cell) -> Option<u32> {
        match cell.text() {
            Some(value) if cell.is_gentle() => held.or(Some(value)),
            value => value,
        }
    }

    /// Every sequence of up to four wishes of one key: set two values, set two values where missing, remove.
    fn sequences() -> Vec<Vec<Cell>> {
        let wishes = [1, 2, 1 | GENTLE, 2 | GENTLE, REMOVE].map(|value| Cell { key: 0, fold: 0, value });
        let mut all = vec![Vec::new()];
        for _ in 0..4 {
            let longer: Vec<Vec<Cell>> =
                all.iter().flat_map(|some| wishes.map(|wish| [some.clone(), vec![wish]].concat())).collect();
            all.extend(longer);
        }
        all
    }

    #[test]
    fn what_is_merged_does_what_its_wishes_do_one_after_the_other() {
        let mut symbols = Symbols::default();
        symbols.hold(&Arc::from("key"));
        for wishes in sequences() {
            for before in [None, Some(1), Some(2), Some(3)] {
                // The first `done` of them have been carried out.
                for done in 0..=wishes.len() {
                    let wishes: Vec<(Cell, bool)> =
                        wishes.iter().enumerate().map(|(at, cell)| (*cell, at < done)).collect();
                    let held = one_by_one(before, &wishes[..done]);
                    let merged = merge(&symbols, wishes.iter().map(|(cell, done)| std::iter::once((cell, *done))));
                    let after = merged.iter().fold(held, apply);
                    assert_eq!(after, one_by_one(before, &wishes), "{before:?}: {wishes:?} became {merged:?}");
                }
            }
        }
    }

    #[test]
    fn an_older_wish_that_came_late_counts_before_one_that_was_gentle_and_has_been_carried_out() {
        let mut symbols = Symbols::default();
        symbols.hold(&Arc::from("key"));
        let gentle = Cell { key: 0, fold: 0, value: 2 | GENTLE };
        for (late, expected) in [(1, Some(1)), (REMOVE, Some(2))] {
            let late = Cell { key: 0, fold: 0, value: late };
            let merged = merge(
                &symbols,
                [(late, false), (gentle, true)].iter().map(|(cell, done)| std::iter::once((cell, *done))),
            );
            assert_eq!(merged.iter().fold(Some(2), apply), expected);
        }
    }
}
