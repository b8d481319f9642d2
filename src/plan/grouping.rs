//! Which keys travel together, so that the calls are fewest.
//!
//! Every key starts as a group of its own; the two groups whose union saves most calls are merged, again and again.
//! Then groups are dissolved into the others as long as that saves calls. The result is compared with plain
//! equal-tag-set grouping, and the cheaper of the two is used.

use super::{Caps, merge::Cell, symbols::Symbol};
use crate::call::Op;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::{Hash, Hasher};

/// More columns than this are not compared pair by pair: the dearest this many are, the others stay alone.
const COLUMNS_COMPARED: usize = 48;

/// Dissolving groups stops after looking at about this many rows: some ten milliseconds.
const STEPS: usize = 4_000_000;

/// A key that is set or removed.
pub type Column = (Symbol, Op);

/// How a row's cells are cut into pieces, each of which travels in one call.
#[derive(Clone, Debug, Default)]
pub enum Grouping {
    /// Rows with equal cells travel together; a row wider than a call is cut in byte order.
    #[default]
    EqualSets,
    /// Columns with the same number travel together; a column without one travels alone.
    Groups(FxHashMap<Column, u32>),
}

impl Grouping {
    /// The pieces of a row that may go now: its sets, or its removals once nothing is left to set.
    pub fn cut(&self, cells: &[Cell], caps: &Caps, pieces: &mut Pieces) {
        pieces.clear();
        let Some(op) = cells.first().map(Cell::op) else { return };
        if caps.is_whole() {
            pieces.cells.extend(cells);
            pieces.ends.push(cells.len());
            return;
        }
        // Sets come before removals in a row.
        let eligible = cells.iter().take_while(|cell| cell.op() == op);
        let most = caps.columns(op);
        match self {
            Self::EqualSets => {
                pieces.cells.extend(eligible);
                let all = pieces.cells.len();
                pieces.ends.extend((0..all).step_by(most).map(|begin| (begin + most).min(all)));
            }
            Self::Groups(groups) => {
                for cell in eligible {
                    pieces.place(*cell, groups.get(&cell.column()).copied(), most);
                }
                pieces.gather();
            }
        }
    }

    /// The calls that these rows need under this grouping; `None` as soon as it is clear that they are `limit` or more.
    pub fn cost_below(&self, limit: u64, rows: &[(u32, &[Cell])], caps: &Caps) -> Option<u64> {
        let mut buckets: FxHashMap<u64, u64> = FxHashMap::default();
        let mut pieces = Pieces::default();
        for (share, cells) in rows {
            let sets = cells.partition_point(|cell| caps.is_whole() || cell.op() == Op::Set);
            let (sets, removals) = cells.split_at(sets);
            for part in [sets, removals] {
                self.cut(part, caps, &mut pieces);
                for piece in pieces.iter() {
                    *buckets.entry(rectangle_hash(*share, piece)).or_default() += 1;
                }
            }
            if buckets.len() as u64 >= limit {
                return None;
            }
        }
        let per_call = caps.resources.max(1) as u64;
        Some(buckets.values().map(|count| count.div_ceil(per_call)).sum()).filter(|cost| *cost < limit)
    }

    /// The calls that these rows need under this grouping.
    pub fn cost(&self, rows: &[(u32, &[Cell])], caps: &Caps) -> u64 {
        self.cost_below(u64::MAX, rows, caps).unwrap_or(u64::MAX)
    }
}

/// A row cut into pieces. One buffer serves row after row.
#[derive(Debug, Default)]
pub struct Pieces {
    cells: Vec<Cell>,
    ends: Vec<usize>,
    /// Which piece each cell goes to.
    placed: Vec<(usize, Cell)>,
    /// The group and the length of each piece.
    open: Vec<(Option<u32>, usize)>,
}

impl Pieces {
    /// Piece by piece; cells in the order they have in the row.
    pub fn iter(&self) -> impl Iterator<Item = &[Cell]> {
        let mut begin = 0;
        self.ends.iter().map(move |end| self.cells.get(std::mem::replace(&mut begin, *end)..*end).unwrap_or_default())
    }

    fn clear(&mut self) {
        self.cells.clear();
        self.ends.clear();
        self.placed.clear();
        self.open.clear();
    }

    /// A cell joins the piece of its group, unless that is full.
    fn place(&mut self, cell: Cell, group: Option<u32>, most: usize) {
        let joins = |(other, len): &(Option<u32>, usize)| group.is_some() && *other == group && *len < most;
        let piece = self.open.iter().position(joins).unwrap_or_else(|| {
            self.open.push((group, 0));
            self.open.len() - 1
        });
        if let Some((_, len)) = self.open.get_mut(piece) {
            *len += 1;
        }
        self.placed.push((piece, cell));
    }

    fn gather(&mut self) {
        self.placed.sort_by_key(|(piece, _)| *piece);
        self.cells.extend(self.placed.iter().map(|(_, cell)| *cell));
        let mut end = 0;
        self.ends.extend(self.open.iter().map(|(_, len)| {
            end += len;
            end
        }));
    }
}

/// Rows whose pieces have the same hash are looked at together; whether they are equal is checked when a call is cut.
pub fn rectangle_hash(share: u32, piece: &[Cell]) -> u64 {
    let mut hasher = FxHasher::default();
    share.hash(&mut hasher);
    for cell in piece {
        (cell.key, cell.value).hash(&mut hasher);
    }
    hasher.finish()
}

/// One group while merging: for each row a class (0: the row has none of these columns), and what the group costs.
#[derive(Clone)]
struct Group {
    columns: Vec<Column>,
    classes: Vec<u32>,
    count: usize,
    cost: u64,
}

/// Chooses the grouping for these rows. `texts` orders columns; equal savings go to the first pair in byte order.
pub fn choose<'t>(rows: &[(u32, &[Cell])], caps: &Caps, text: impl Fn(Symbol) -> &'t str) -> Grouping {
    if caps.resources <= 1 {
        // A row has no company, so nothing beats few and full pieces of it.
        return Grouping::EqualSets;
    }
    let groups = singles(rows, caps, text);
    let alone: Vec<Column> =
        groups.iter().skip(COLUMNS_COMPARED).flat_map(|group| group.columns.iter().copied()).collect();
    let mut groups: Vec<Group> = groups.into_iter().take(COLUMNS_COMPARED).collect();
    // With three columns, merging has weighed whatever dissolving could find.
    let columns = if groups.len() > 3 { groups.clone() } else { Vec::new() };
    let mut scratch = Scratch::default();
    greedy(&mut groups, caps, &mut scratch);
    dissolve(&mut groups, &columns, caps, &mut scratch);
    let mut numbers = FxHashMap::default();
    for (number, group) in groups.iter().enumerate() {
        numbers.extend(group.columns.iter().map(|column| (*column, number as u32)));
    }
    let grouped = Grouping::Groups(numbers);
    let cost: u64 = groups.iter().map(|group| group.cost).sum();
    if alone.is_empty() && groups.len() == 1 {
        return grouped;
    }
    let cost = if alone.is_empty() { cost } else { grouped.cost(rows, caps) };
    if Grouping::EqualSets.cost_below(cost, rows, caps).is_some() { Grouping::EqualSets } else { grouped }
}

/// One group per column, in byte order of the keys, the dearest first where there are too many to compare.
fn singles<'t>(rows: &[(u32, &[Cell])], caps: &Caps, text: impl Fn(Symbol) -> &'t str) -> Vec<Group> {
    let mut index: FxHashMap<Column, usize> = FxHashMap::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut classes: Vec<FxHashMap<(u32, Symbol), u32>> = Vec::new();
    for (row, (share, cells)) in rows.iter().enumerate() {
        for cell in *cells {
            let at = *index.entry(cell.column()).or_insert_with(|| {
                groups.push(Group { columns: vec![cell.column()], classes: Vec::new(), count: 1, cost: 0 });
                classes.push(FxHashMap::default());
                groups.len() - 1
            });
            let (Some(group), Some(known)) = (groups.get_mut(at), classes.get_mut(at)) else { continue };
            let fresh = known.len() as u32 + 1;
            let class = *known.entry((*share, cell.value)).or_insert(fresh);
            // Rows before the column's first one have none of it; they are filled in only for columns that matter.
            group.classes.resize(row, 0);
            group.classes.push(class);
        }
    }
    for (group, known) in groups.iter_mut().zip(&classes) {
        group.classes.resize(rows.len(), 0);
        group.count = known.len() + 1;
        group.cost = cost_of(&group.classes, group.count, caps);
    }
    groups.sort_by(|a, b| key_order(a, b, &text));
    if groups.len() > COLUMNS_COMPARED {
        groups.sort_by(|a, b| b.cost.cmp(&a.cost).then_with(|| key_order(a, b, &text)));
        if let Some(compared) = groups.get_mut(..COLUMNS_COMPARED) {
            compared.sort_by(|a, b| key_order(a, b, &text));
        }
    }
    groups
}

fn key_order<'t>(a: &Group, b: &Group, text: &impl Fn(Symbol) -> &'t str) -> std::cmp::Ordering {
    let name = |group: &Group| group.columns.first().map(|(key, op)| (text(*key), *op));
    name(a).cmp(&name(b))
}

fn cost_of(classes: &[u32], count: usize, caps: &Caps) -> u64 {
    let mut sizes = vec![0_u32; count];
    for class in classes {
        if let Some(size) = sizes.get_mut(*class as usize) {
            *size += 1;
        }
    }
    sizes.iter().skip(1).map(|size| u64::from(*size).div_ceil(caps.resources.max(1) as u64)).sum()
}

/// Merges the best pair until no pair saves a call.
fn greedy(groups: &mut Vec<Group>, caps: &Caps, scratch: &mut Scratch) {
    // Savings of pairs that are still valid, by the groups' positions.
    let mut known: FxHashMap<(usize, usize), u64> = FxHashMap::default();
    loop {
        let mut best: Option<(u64, usize, usize)> = None;
        for i in 0..groups.len() {
            for j in i + 1..groups.len() {
                let (Some(a), Some(b)) = (groups.get(i), groups.get(j)) else { continue };
                if !may_merge(a, b, caps) {
                    continue;
                }
                // A union costs at least as much as its dearer half, so it never saves more than the cheaper one.
                let bound = a.cost.min(b.cost);
                if best.is_some_and(|(saved, ..)| bound <= saved) {
                    continue;
                }
                let saved = *known
                    .entry((i, j))
                    .or_insert_with(|| (a.cost + b.cost).saturating_sub(scratch.union_cost(a, b, caps)));
                if saved > 0 && best.is_none_or(|(most, ..)| saved > most) {
                    best = Some((saved, i, j));
                }
            }
        }
        let Some((_, i, j)) = best else { return };
        let taken = groups.remove(j);
        if let Some(group) = groups.get_mut(i) {
            scratch.unite(group, &taken, caps);
        }
        known = known
            .into_iter()
            .filter(|((a, b), _)| *a != i && *b != i && *a != j && *b != j)
            .map(|((a, b), saved)| ((a - usize::from(a > j), b - usize::from(b > j)), saved))
            .collect();
    }
}

/// Deals the columns of a group out to the other groups where that saves calls, until it does nowhere.
///
/// Merging pairs cannot see it: of seven pairs that cost as much as three columns would, no two are worth merging, but
/// four threes and a pair are cheaper.
fn dissolve(groups: &mut Vec<Group>, columns: &[Group], caps: &Caps, scratch: &mut Scratch) {
    let mut unions = columns.first().map_or(0, |column| STEPS / column.classes.len().max(1));
    while groups.len() > 1 {
        let dealt = (0..groups.len()).find_map(|at| Some((at, deal(groups, at, columns, caps, scratch, &mut unions)?)));
        let Some((at, changed)) = dealt else { return };
        for (other, group) in changed.into_iter().enumerate() {
            if let (Some(old), Some(group)) = (groups.get_mut(other), group) {
                *old = group;
            }
        }
        groups.remove(at);
    }
}

/// The groups that change when the columns of one go to wherever they cost least; `None` unless that saves calls.
fn deal(
    groups: &[Group],
    at: usize,
    columns: &[Group],
    caps: &Caps,
    scratch: &mut Scratch,
    unions: &mut usize,
) -> Option<Vec<Option<Group>>> {
    let dissolved = groups.get(at)?;
    let mut changed: Vec<Option<Group>> = vec![None; groups.len()];
    let mut added = 0;
    for column in &dissolved.columns {
        let column = columns.iter().find(|single| single.columns.first() == Some(column))?;
        let mut best: Option<(u64, usize)> = None;
        for (other, group) in groups.iter().enumerate().filter(|(other, _)| *other != at) {
            let group = changed.get(other)?.as_ref().unwrap_or(group);
            if may_merge(group, column, caps) {
                *unions = unions.checked_sub(1)?;
                let more = scratch.union_cost(group, column, caps).saturating_sub(group.cost);
                if best.is_none_or(|(least, _)| more < least) {
                    best = Some((more, other));
                }
            }
        }
        let (more, other) = best?;
        added += more;
        if added >= dissolved.cost {
            return None;
        }
        let mut group = changed.get_mut(other)?.take().or_else(|| groups.get(other).cloned())?;
        scratch.unite(&mut group, column, caps);
        *changed.get_mut(other)? = Some(group);
    }
    Some(changed)
}

fn may_merge(a: &Group, b: &Group, caps: &Caps) -> bool {
    let op = |group: &Group| group.columns.first().map(|(_, op)| *op);
    op(a) == op(b) && op(a).is_some_and(|op| a.columns.len() + b.columns.len() <= caps.columns(op))
}

/// Pairs of classes up to this many are numbered in a flat table, more in a hash map.
const FLAT: usize = 1 << 20;

#[derive(Default)]
struct Scratch {
    numbers: Vec<u32>,
    sizes: Vec<u32>,
}

impl Scratch {
    /// Numbers the pairs of classes that occur, hands each row's number to `row`, and returns how many there are.
    fn number(&mut self, a: &Group, b: &Group, mut row: impl FnMut(u32)) -> usize {
        let pairs = a.classes.iter().zip(&b.classes);
        let mut next = 1_u32;
        if a.count.saturating_mul(b.count) <= FLAT {
            self.numbers.clear();
            self.numbers.resize(a.count * b.count, 0);
            for (x, y) in pairs {
                if *x == 0 && *y == 0 {
                    row(0);
                    continue;
                }
                let Some(number) = self.numbers.get_mut(*x as usize * b.count + *y as usize) else { continue };
                if *number == 0 {
                    *number = next;
                    next += 1;
                }
                row(*number);
            }
        } else {
            let mut numbers: FxHashMap<(u32, u32), u32> = FxHashMap::default();
            for pair in pairs {
                if (*pair.0, *pair.1) == (0, 0) {
                    row(0);
                    continue;
                }
                let number = *numbers.entry((*pair.0, *pair.1)).or_insert_with(|| {
                    next += 1;
                    next - 1
                });
                row(number);
            }
        }
        next as usize
    }

    fn union_cost(&mut self, a: &Group, b: &Group, caps: &Caps) -> u64 {
        let mut sizes = std::mem::take(&mut self.sizes);
        sizes.clear();
        self.number(a, b, |class| {
            if class as usize >= sizes.len() {
                sizes.resize(class as usize + 1, 0);
            }
            if let Some(size) = sizes.get_mut(class as usize) {
                *size += 1;
            }
        });
        let cost = sizes.iter().skip(1).map(|size| u64::from(*size).div_ceil(caps.resources.max(1) as u64)).sum();
        self.sizes = sizes;
        cost
    }

    fn unite(&mut self, group: &mut Group, other: &Group, caps: &Caps) {
        let mut classes = Vec::with_capacity(group.classes.len());
        let count = self.number(group, other, |class| classes.push(class));
        group.columns.extend(&other.columns);
        group.classes = classes;
        group.count = count;
        group.cost = cost_of(&group.classes, count, caps);
    }
}
