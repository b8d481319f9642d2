//! The table of pending work: rows are resources, columns are keys, and a call is cut out of it as a rectangle.
//!
//! Cutting costs about as much as the call is large, whatever the backlog: rows whose pieces are equal lie on one shelf.
//! A shelf may hold entries that are out of date; they are noticed and dropped when they are taken.

use super::{
    Caps, Symbols,
    grouping::{self, Grouping, Pieces, rectangle_hash},
    merge::Cell,
};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

/// The number of a row.
pub type RowId = u32;

/// A rectangle: every row gets every cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// The rows, the oldest first.
    pub rows: Vec<RowId>,
    /// The cells they share, in byte order of the keys; all sets or all removals.
    pub cells: Vec<Cell>,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Has nothing pending here.
    #[default]
    Empty,
    /// May go.
    Ready,
    /// Part of it is on its way; the cells kept are those that are not.
    Flying,
    /// Waits for something other than a reply.
    Parked,
}

#[derive(Debug, Default)]
struct Row {
    share: u32,
    age: u64,
    urgent: bool,
    place: Place,
    /// How often it was passed over because its company was on its way.
    patience: u8,
    cells: Vec<Cell>,
}

/// A grouping is renewed after this long, if the table has changed.
const RENEW_AFTER: Duration = Duration::from_secs(1);
/// At most so many calls go ahead of a row that could go, while rows that could share its call are on their way.
const PATIENCE: u8 = 12;
/// Oldest rows looked at for one call while waiting for company.
const LEADS: usize = 48;
/// Of so many calls in a row for urgent work, the next goes to the oldest other work.
const URGENT_RUN: u8 = 4;

/// The pending work of one lane.
#[derive(Debug)]
pub struct Table {
    caps: Caps,
    rows: Vec<Row>,
    /// Rows that may go, oldest first: ordinary ones and urgent ones.
    ready: [BTreeSet<(u64, RowId)>; 2],
    urgent_run: u8,
    grouping: Grouping,
    /// Rows by piece. Empty until the first grouping is chosen.
    shelves: FxHashMap<u64, VecDeque<RowId>>,
    entries: usize,
    grouped_at: Duration,
    grouped_rows: usize,
    /// Rows put in since the grouping was chosen.
    changed: usize,
    pieces: Pieces,
}

impl Table {
    /// An empty table.
    pub fn new(caps: Caps) -> Self {
        Self {
            caps,
            rows: Vec::new(),
            ready: [BTreeSet::new(), BTreeSet::new()],
            urgent_run: 0,
            grouping: Grouping::default(),
            shelves: FxHashMap::default(),
            entries: 0,
            grouped_at: Duration::ZERO,
            grouped_rows: 0,
            changed: 0,
            pieces: Pieces::default(),
        }
    }

    /// Puts a row where it may go, with the cells it has left. A row without cells leaves the table.
    pub fn put(&mut self, row: RowId, share: u32, age: u64, urgent: bool, cells: Vec<Cell>) {
        self.remove(row);
        if cells.is_empty() {
            return;
        }
        if self.rows.len() <= row as usize {
            self.rows.resize_with(row as usize + 1, Row::default);
        }
        if let Some(slot) = self.rows.get_mut(row as usize) {
            *slot = Row { share, age, urgent, place: Place::Empty, patience: slot.patience, cells };
        }
        self.enter(row);
    }

    /// What a row that may go has to offer, its age, and whether it is urgent.
    pub fn offered(&self, row: RowId) -> Option<(&[Cell], u64, bool)> {
        let row = self.rows.get(row as usize).filter(|row| row.place == Place::Ready)?;
        Some((&row.cells, row.age, row.urgent))
    }

    /// The call that was cut last is done already, as in a plan: its rows may go again with the cells they have left.
    pub fn put_back(&mut self, rectangle: &Rectangle) {
        for row in &rectangle.rows {
            let left = self.rows.get(*row as usize).and_then(|slot| slot.cells.first()).map(Cell::op);
            match left {
                None => self.remove(*row),
                // Nothing has been cut since, so the other pieces still lie on their shelves.
                Some(op) if rectangle.cells.first().map(Cell::op) == Some(op) => self.line_up(*row),
                Some(_) => self.enter(*row),
            }
        }
    }

    /// The row stands where it may be cut.
    fn enter(&mut self, row: RowId) {
        // Before the first grouping nobody looks at the shelves; choosing it fills them.
        if self.grouped_rows > 0 {
            self.shelve_pieces(row);
        }
        self.line_up(row);
    }

    fn line_up(&mut self, row: RowId) {
        let Some(slot) = self.rows.get_mut(row as usize) else { return };
        slot.place = Place::Ready;
        self.changed += 1;
        if let Some(ready) = self.ready.get_mut(usize::from(slot.urgent)) {
            ready.insert((slot.age, row));
        }
    }

    fn shelve_pieces(&mut self, row: RowId) {
        let Some(slot) = self.rows.get(row as usize) else { return };
        self.grouping.cut(&slot.cells, &self.caps, &mut self.pieces);
        for piece in self.pieces.iter() {
            self.shelves.entry(rectangle_hash(slot.share, piece)).or_default().push_back(row);
            self.entries += 1;
        }
    }

    fn shelve(&mut self, hash: u64, row: RowId) {
        self.shelves.entry(hash).or_default().push_back(row);
        self.entries += 1;
    }

    /// The row waits for something other than a reply; nobody waits for its company.
    pub fn park(&mut self, row: RowId) {
        self.leave(row, Place::Parked);
    }

    /// Takes a row out of the table.
    pub fn remove(&mut self, row: RowId) {
        self.leave(row, Place::Empty);
    }

    fn leave(&mut self, row: RowId, place: Place) {
        let Some(slot) = self.rows.get_mut(row as usize) else { return };
        if slot.place == Place::Ready
            && let Some(ready) = self.ready.get_mut(usize::from(slot.urgent))
        {
            ready.remove(&(slot.age, row));
        }
        slot.place = place;
        if place == Place::Empty {
            slot.cells = Vec::new();
            slot.patience = 0;
        }
    }

    /// Rows that may go.
    pub fn ready(&self) -> usize {
        self.ready.iter().map(BTreeSet::len).sum()
    }

    /// The age of the oldest row that may go, urgent ones first when it is their turn.
    pub fn oldest(&self) -> Option<(u64, RowId)> {
        self.queue().into_iter().find_map(|queue| self.ready.get(queue)?.first().copied())
    }

    /// The oldest row after that age, for probes that go from row to row.
    pub fn next_after(&self, age: u64) -> Option<(u64, RowId)> {
        self.ready.iter().filter_map(|ready| ready.range((age + 1, 0)..).next().copied()).min()
    }

    /// Whether urgent work goes first now.
    pub fn is_urgent_turn(&self) -> bool {
        self.urgent_run < URGENT_RUN
    }

    /// A call has been chosen elsewhere; it counts like one that was cut here.
    pub fn went(&mut self, urgent: bool) {
        self.urgent_run = if urgent { self.urgent_run.saturating_add(1) } else { 0 };
    }

    /// Urgent rows first, but every fifth call goes to ordinary work.
    fn queue(&self) -> [usize; 2] {
        if self.is_urgent_turn() { [1, 0] } else { [0, 1] }
    }

    /// Cuts the next call: the oldest row that may go, filled up with rows that share its cells.
    ///
    /// `None` while nothing may go, or while the oldest rows wait a moment for company that is on its way.
    pub fn cut(&mut self, now: Duration, symbols: &Symbols) -> Option<Rectangle> {
        self.renew(now, symbols);
        let mut leads = Vec::with_capacity(LEADS);
        for queue in self.queue() {
            leads.extend(self.ready.get(queue)?.iter().take(LEADS).map(|(_, row)| *row));
        }
        for (passed_over, lead) in leads.iter().copied().enumerate() {
            if let Some(rectangle) = self.cut_around(lead) {
                for row in leads.iter().take(passed_over) {
                    if let Some(row) = self.rows.get_mut(*row as usize) {
                        row.patience += 1;
                    }
                }
                let urgent = self.rows.get(lead as usize).is_some_and(|row| row.urgent);
                self.went(urgent);
                return Some(rectangle);
            }
        }
        None
    }

    /// Cuts a call of this row alone, with the piece that would go first. For probes.
    pub fn cut_alone(&mut self, row: RowId) -> Option<Rectangle> {
        let slot = self.rows.get(row as usize)?;
        self.grouping.cut(&slot.cells, &self.caps, &mut self.pieces);
        let cells = self.pieces.iter().next()?.to_vec();
        let rectangle = Rectangle { rows: vec![row], cells };
        self.depart(&rectangle);
        Some(rectangle)
    }

    fn cut_around(&mut self, lead: RowId) -> Option<Rectangle> {
        let row = self.rows.get(lead as usize)?;
        let (share, patience) = (row.share, row.patience);
        self.grouping.cut(&row.cells, &self.caps, &mut self.pieces);
        // Of the lead's pieces the one with the fullest shelf goes first: it is the least likely to wait for company.
        let fullness = |piece: &[Cell]| self.shelves.get(&rectangle_hash(share, piece)).map_or(0, VecDeque::len);
        let mut order: Vec<(usize, Vec<Cell>)> =
            self.pieces.iter().map(|piece| (fullness(piece), piece.to_vec())).collect();
        order.sort_by_key(|(len, _)| std::cmp::Reverse(*len));
        for (_, cells) in order {
            let hash = rectangle_hash(share, &cells);
            let (rows, company) = self.take(hash, lead, share, &cells);
            if !company.is_empty() && rows.len() < self.caps.resources && patience < PATIENCE {
                for row in rows.into_iter().chain(company) {
                    self.shelve(hash, row);
                }
                continue;
            }
            let rectangle = Rectangle { rows, cells };
            self.depart(&rectangle);
            return Some(rectangle);
        }
        None
    }

    /// Takes up to a call's worth of rows off a shelf, the lead first; names the ones seen that are on their way.
    fn take(&mut self, hash: u64, lead: RowId, share: u32, cells: &[Cell]) -> (Vec<RowId>, Vec<RowId>) {
        let mut rows = vec![lead];
        let mut company = Vec::new();
        let Some(entries) = self.shelves.get_mut(&hash) else { return (rows, company) };
        while rows.len() < self.caps.resources {
            let Some(row) = entries.pop_front() else { break };
            self.entries -= 1;
            let Some(slot) = self.rows.get(row as usize) else { continue };
            let fits = slot.share == share && has_piece(&slot.cells, cells);
            match slot.place {
                Place::Ready if fits && !rows.contains(&row) => rows.push(row),
                Place::Flying if fits => company.push(row),
                _ => {}
            }
        }
        if entries.is_empty() {
            self.shelves.remove(&hash);
        }
        (rows, company)
    }

    /// The rectangle is on its way: its rows keep the cells that are not in it.
    fn depart(&mut self, rectangle: &Rectangle) {
        for row in &rectangle.rows {
            self.leave(*row, Place::Flying);
            if let Some(slot) = self.rows.get_mut(*row as usize) {
                slot.patience = 0;
                slot.cells.retain(|cell| !rectangle.cells.contains(cell));
            }
        }
    }

    /// Chooses a new grouping when the old one is out of date, and keeps the old one unless the new one is better.
    fn renew(&mut self, now: Duration, symbols: &Symbols) {
        let ready = self.ready();
        let grown = ready > self.grouped_rows + self.grouped_rows / 4;
        let stale = now >= self.grouped_at + RENEW_AFTER && self.changed * 10 > ready;
        let littered = self.entries > 8 * self.rows.len() + 1000;
        if self.changed == 0 || !(grown || stale) {
            if littered {
                self.rebuild();
            }
            return;
        }
        // What is on its way comes back with the cells it has left, so it counts as well.
        let ready_rows = self.ready.iter().flatten().filter_map(|(_, row)| self.rows.get(*row as usize));
        let flying = self.rows.iter().filter(|row| row.place == Place::Flying && !row.cells.is_empty());
        let rows: Vec<(u32, &[Cell])> = ready_rows.chain(flying).map(|row| (row.share, &*row.cells)).collect();
        let fresh = grouping::choose(&rows, &self.caps, |symbol| symbols.peek(symbol));
        let first = self.grouped_rows == 0;
        let better = first || fresh.cost_below(self.grouping.cost(&rows, &self.caps), &rows, &self.caps).is_some();
        self.grouped_at = now;
        self.grouped_rows = ready;
        self.changed = 0;
        if better {
            self.grouping = fresh;
        }
        if better || littered {
            self.rebuild();
        }
    }

    fn rebuild(&mut self) {
        self.shelves.clear();
        self.entries = 0;
        let mut ready: Vec<(u64, RowId)> = self.ready.iter().flatten().copied().collect();
        ready.sort_unstable();
        for (_, row) in ready {
            self.shelve_pieces(row);
        }
    }
}

/// Whether the row has all of these cells to give now: removals wait until nothing is left to set.
fn has_piece(cells: &[Cell], piece: &[Cell]) -> bool {
    // Sets come before removals in a row.
    let now = cells.first().map(Cell::op) == piece.first().map(Cell::op);
    now && piece.iter().all(|cell| cells.contains(cell))
}
