//! What several jobs ask of one resource, as one row: for each key the last word wins.

use super::symbols::{Symbol, Symbols};
use crate::call::Op;
use std::sync::Arc;

/// The value of a cell that removes its key.
pub const REMOVE: Symbol = Symbol::MAX;

/// One key of one row, and what it shall become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    /// The key.
    pub key: Symbol,
    /// The key's identity: keys that differ only in case are one key on some clouds.
    pub fold: Symbol,
    /// The value, or [`REMOVE`].
    pub value: Symbol,
}

impl Cell {
    /// Whether the cell sets or removes.
    pub fn op(&self) -> Op {
        if self.value == REMOVE { Op::Unset } else { Op::Set }
    }

    /// The column the cell stands in: its key, and whether it is set or removed there.
    pub fn column(&self) -> (Symbol, Op) {
        (self.key, self.op())
    }
}

/// The cells of a job: what it sets, then what it removes, each in byte order of the keys. Holds every symbol.
pub fn cells_of<'a>(
    symbols: &mut Symbols,
    set: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
    unset: impl Iterator<Item = &'a Arc<str>>,
    fold: impl Fn(&str) -> String,
) -> Box<[Cell]> {
    let mut cells = Vec::new();
    for (key, value) in set {
        let (symbol, folded) = symbols.hold_key(key, &fold(key));
        cells.push(Cell { key: symbol, fold: folded, value: symbols.hold(value) });
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
        if cell.value != REMOVE {
            symbols.release(cell.value);
        }
    }
}

/// The row that does what `wishes` ask, one after the other. Each wish lists a job's cells and tells which are done.
///
/// For each key the last wish that names it decides; if that wish has been carried out, the key is done. Sets come
/// before removals, and within each the keys are in byte order.
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
