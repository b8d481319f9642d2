//! Accepted work by resource: what is merged, what is on its way, and what waits behind it.

use super::{
    event::{Naming, Now, Work},
    item::{Done, Item, insert_in_order, touches},
    ledger::{JobKey, Ledger},
};
use crate::{
    call::Op,
    job::{Priority, Resource},
    plan::{Caps, Cell, Rectangle, RowId, Symbols, Table, merge},
};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::{hash::BuildHasher as _, sync::Arc};

/// One resource with everything pending on it.
#[derive(Debug)]
struct Row {
    resource: Resource,
    key: Arc<str>,
    share: u32,
    /// Merged work, in the order it takes effect.
    items: Vec<Item>,
    /// Work that came while the row was on its way or waited for a retry.
    later: Vec<Item>,
    busy: bool,
    /// So many of the items go one by one, in order: their union was rejected.
    apart: usize,
}

/// How a call ended on a resource.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'k> {
    /// Everything was right already.
    Unchanged,
    /// It was carried out, but for these keys, which kept the value they had.
    Done(&'k [Arc<str>]),
}

/// An item that is final now.
#[derive(Debug)]
pub struct Finished {
    /// The item.
    pub item: Item,
    /// Whether a later job's value took the place of one of its own.
    pub superseded: bool,
    /// Whether the provider found everything right already.
    pub unchanged: bool,
}

/// The pending work of one lane.
#[derive(Debug)]
pub struct Backlog {
    /// Keys and values by number.
    pub symbols: Symbols,
    /// What may go.
    pub table: Table,
    naming: Box<dyn Naming>,
    /// The API is read before it is written, so that a tag that is there can be left alone.
    reads: bool,
    rows: Vec<Option<Row>>,
    free: Vec<RowId>,
    index: FxHashMap<Arc<str>, RowId>,
    shares: FxHashMap<Arc<str>, u32>,
    types: FxHashMap<Arc<str>, Arc<str>>,
    next_seq: u64,
    /// Keys of items that have not been carried out.
    left: u64,
}

impl Backlog {
    /// Nothing pending.
    pub fn new(caps: Caps, naming: Box<dyn Naming>) -> Self {
        Self {
            symbols: Symbols::default(),
            table: Table::new(caps),
            naming,
            reads: caps.is_whole(),
            rows: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::default(),
            shares: FxHashMap::default(),
            types: FxHashMap::default(),
            next_seq: 1,
            left: 0,
        }
    }

    /// Forgets all work.
    pub fn forget(&mut self, caps: Caps) {
        self.symbols = Symbols::default();
        self.table = Table::new(caps);
        self.rows.clear();
        self.free.clear();
        self.index.clear();
        self.shares.clear();
        self.types.clear();
        self.left = 0;
    }

    /// Keys of items that have not been carried out: what is left to do, finer than items.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The cells of a job, their symbols held.
    pub fn cells(&mut self, work: &Work) -> Box<[Cell]> {
        let naming = &self.naming;
        let fold = |key: &str| naming.fold_key(key).into_owned();
        let gentle = self.reads && !work.job.extras.overwrite;
        merge::cells_of(&mut self.symbols, work.job.set.iter(), work.job.unset.iter(), gentle, fold)
    }

    /// Adds one item of a job that the ledger knows. Says which items are final by that: work that came late and is
    /// older than what has been carried out is superseded on arrival.
    pub fn add(&mut self, job: JobKey, index: u32, work: &Work, ledger: &Ledger) -> Vec<Finished> {
        let Some(resource) = work.job.resources.get(index as usize) else { return Vec::new() };
        let item = Item {
            job,
            index,
            seq: self.next_seq,
            urgent: work.job.extras.priority == Priority::Event,
            done: Done::default(),
            superseded: false,
            unchanged: true,
            attempts: 0,
            first_attempt: None,
        };
        self.next_seq += 1;
        self.left += ledger.cells(job).len() as u64;
        let row = self.row_of(resource);
        let Some(slot) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return Vec::new() };
        if !slot.busy && slot.apart == 0 && slot.items.last().is_some_and(|last| last.urgent == item.urgent) {
            // The common case of a resource that many jobs name: the new wishes go over those that wait.
            slot.items.push(item);
            if !self.offer_more(row, ledger.cells(job)) {
                self.offer(row, ledger);
            }
            return Vec::new();
        }
        slot.later.push(item);
        if slot.busy || slot.apart > 0 {
            return Vec::new();
        }
        self.free(row, ledger)
    }

    /// Puts a free row back with one more job's cells over those it has to offer.
    fn offer_more(&mut self, row: RowId, own: &[Cell]) -> bool {
        let Some((cells, age, urgent)) = self.table.offered(row) else { return false };
        let Some(share) = self.row(row).map(|row| row.share) else { return false };
        let waiting = cells;
        let mut cells: Vec<Cell> =
            waiting.iter().filter(|cell| !own.iter().any(|new| new.fold == cell.fold)).copied().collect();
        cells.extend(own.iter().map(|new| {
            let before = waiting.iter().find(|cell| cell.fold == new.fold);
            before.map_or(*new, |before| new.after(*before))
        }));
        merge::sort(&self.symbols, &mut cells);
        self.table.put(row, share, age, urgent, cells);
        true
    }

    /// The age that the next item will have.
    pub fn newest(&self) -> u64 {
        self.next_seq
    }

    /// Whether the row's items go one by one.
    pub fn is_apart(&self, row: RowId) -> bool {
        self.row(row).is_some_and(|row| row.apart > 0)
    }

    /// A number for a resource: spellings of one resource give the same, two resources hardly ever.
    pub fn hash(&self, resource: &Resource) -> u64 {
        FxBuildHasher.hash_one(self.naming.resource_key(resource))
    }

    fn row_of(&mut self, resource: &Resource) -> RowId {
        let key = self.naming.resource_key(resource);
        if let Some(row) = self.index.get(key.as_str()) {
            return *row;
        }
        let share = self.naming.share_key(resource);
        let next = self.shares.len() as u32;
        let share = *self.shares.entry(share.into()).or_insert(next);
        // Types and projects are few: one copy each.
        let mut shared = |text: &Option<Arc<str>>| {
            text.as_ref().map(|text| self.types.entry(text.clone()).or_insert_with(|| text.clone()).clone())
        };
        let (kind, project) = (shared(&resource.kind), shared(&resource.project));
        // Most keys are the id itself: then one text serves both.
        let key: Arc<str> = if key == *resource.id { resource.id.clone() } else { key.into() };
        let row = Row {
            resource: Resource { id: resource.id.clone(), kind, project },
            key: key.clone(),
            share,
            items: Vec::with_capacity(1),
            later: Vec::new(),
            busy: false,
            apart: 0,
        };
        let id = self.free.pop().unwrap_or(self.rows.len() as RowId);
        match self.rows.get_mut(id as usize) {
            Some(slot) => *slot = Some(row),
            None => self.rows.push(Some(row)),
        }
        self.index.insert(key, id);
        id
    }

    fn row(&self, row: RowId) -> Option<&Row> {
        self.rows.get(row as usize)?.as_ref()
    }

    /// The resource of a row.
    pub fn resource(&self, row: RowId) -> Option<&Resource> {
        self.row(row).map(|row| &row.resource)
    }

    /// The items that go together now.
    pub fn scope(&self, row: RowId) -> &[Item] {
        let Some(row) = self.row(row) else { return &[] };
        if row.apart > 0 { row.items.get(..1).unwrap_or(&[]) } else { &row.items }
    }

    fn scope_mut(&mut self, row: RowId) -> &mut [Item] {
        let Some(row) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return &mut [] };
        if row.apart > 0 { row.items.get_mut(..1).unwrap_or(&mut []) } else { &mut row.items }
    }

    /// The items of the scope that a call with these cells speaks for.
    pub fn involved<'a>(&'a self, row: RowId, cells: &'a [Cell], ledger: &'a Ledger) -> impl Iterator<Item = &'a Item> {
        self.scope(row).iter().filter(|item| touches(ledger.cells(item.job), cells))
    }

    /// The same, to be changed.
    pub fn for_involved(&mut self, row: RowId, cells: &[Cell], ledger: &Ledger, mut change: impl FnMut(&mut Item)) {
        for item in self.scope_mut(row) {
            if touches(ledger.cells(item.job), cells) {
                change(item);
            }
        }
    }

    /// The next call around the oldest item. Its rows are busy from now on.
    pub fn cut(&mut self, now: Now) -> Option<Rectangle> {
        let rectangle = self.table.cut(now, &self.symbols)?;
        self.occupy(&rectangle.rows);
        Some(rectangle)
    }

    /// A call of one row alone.
    pub fn cut_alone(&mut self, row: RowId) -> Option<Rectangle> {
        let rectangle = self.table.cut_alone(row)?;
        self.occupy(&rectangle.rows);
        Some(rectangle)
    }

    fn occupy(&mut self, rows: &[RowId]) {
        for row in rows {
            if let Some(row) = self.rows.get_mut(*row as usize).and_then(Option::as_mut) {
                row.busy = true;
            }
        }
    }

    /// The age of the oldest item of a row.
    pub fn age(&self, row: RowId) -> u64 {
        self.scope(row).iter().map(|item| item.seq).min().unwrap_or(u64::MAX)
    }

    /// Whether anything of a row goes ahead of bulk work.
    pub fn is_urgent(&self, row: RowId) -> bool {
        self.scope(row).iter().any(|item| item.urgent)
    }

    /// The provider carried these cells out on a row. [`Backlog::free`] says which items are final by that.
    pub fn applied(&mut self, row: RowId, cells: &[Cell], outcome: Outcome<'_>, ledger: &Ledger) {
        let mut carried_out = 0;
        let unchanged = matches!(outcome, Outcome::Unchanged);
        // What is known of each key while one item after the other takes effect.
        let mut keys: Vec<(Cell, Option<bool>)> = cells.iter().map(|cell| (*cell, self.had(cell, outcome))).collect();
        for item in self.scope_mut(row) {
            let own = ledger.cells(item.job);
            let mut touched = false;
            for (at, cell) in own.iter().enumerate() {
                let Some((applied, there)) = keys.iter_mut().find(|(applied, _)| applied.fold == cell.fold) else {
                    continue;
                };
                if item.done.has(at) {
                    continue;
                }
                item.done.set(at, own.len());
                carried_out += 1;
                if cell.is_gentle() && *there == Some(true) {
                    // Nothing was to be done.
                    continue;
                }
                item.superseded |= applied.text() != cell.text();
                touched = true;
                *there = Some(cell.op() == Op::Set);
            }
            item.unchanged &= unchanged || !touched;
        }
        self.left = self.left.saturating_sub(carried_out);
    }

    /// Whether a key had a value before a call, where that is known: of keys that the call sets only where they have none.
    fn had(&self, cell: &Cell, outcome: Outcome<'_>) -> Option<bool> {
        let kept = match outcome {
            Outcome::Unchanged => true,
            Outcome::Done(kept) => kept.iter().any(|key| **key == *self.symbols.peek(cell.key)),
        };
        cell.is_gentle().then_some(kept)
    }

    /// Takes the items out whose every cell has been carried out. They become final in order: if a later item were
    /// acked before an earlier one, a crash between would bring the earlier value back.
    fn complete(&mut self, row: RowId, ledger: &Ledger) -> Vec<Finished> {
        let Some(slot) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return Vec::new() };
        let complete = |item: &Item| (0..ledger.cells(item.job).len()).all(|at| item.done.has(at));
        let finished = slot.items.iter().take_while(|item| complete(item)).count();
        slot.apart = slot.apart.saturating_sub(finished);
        slot.items
            .drain(..finished)
            .map(|item| Finished { superseded: item.superseded, unchanged: item.unchanged, item })
            .collect()
    }

    /// Takes an item out of a row, because it failed.
    pub fn take_item(&mut self, row: RowId, job: JobKey, index: u32, ledger: &Ledger) -> Option<Item> {
        let slot = self.rows.get_mut(row as usize)?.as_mut()?;
        let is_it = |item: &Item| (item.job, item.index) == (job, index);
        let item = if let Some(at) = slot.items.iter().position(is_it) {
            slot.apart -= usize::from(at < slot.apart);
            slot.items.remove(at)
        } else {
            let at = slot.later.iter().position(is_it)?;
            slot.later.remove(at)
        };
        let undone = (0..ledger.cells(job).len()).filter(|at| !item.done.has(*at)).count() as u64;
        self.left = self.left.saturating_sub(undone);
        Some(item)
    }

    /// From now on the row's items go one by one, in order. False when there is only one, or they do already.
    pub fn take_apart(&mut self, row: RowId) -> bool {
        let Some(slot) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return false };
        if slot.apart > 0 || slot.items.len() < 2 {
            return false;
        }
        slot.apart = slot.items.len();
        true
    }

    /// The row is neither on its way nor waiting any more: newer work joins it, and it may go. Says which of the newer
    /// items are final by that.
    #[must_use]
    pub fn free(&mut self, row: RowId, ledger: &Ledger) -> Vec<Finished> {
        // A single file may end here; then what waits behind it joins.
        let mut finished = if self.is_apart(row) { self.complete(row, ledger) } else { Vec::new() };
        let Some(slot) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return finished };
        slot.busy = false;
        if slot.apart == 0 && !slot.later.is_empty() {
            // Before anything is final: what came late may be older than what has just been carried out.
            let mut overtaken = false;
            for item in std::mem::take(&mut slot.later) {
                overtaken |= insert_in_order(&mut slot.items, item, ledger);
            }
            if overtaken {
                self.supersede(row, ledger);
            }
        }
        finished.extend(self.complete(row, ledger));
        let Some(slot) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return finished };
        if slot.items.is_empty() {
            self.table.remove(row);
            self.index.remove(&slot.key);
            if let Some(slot) = self.rows.get_mut(row as usize) {
                *slot = None;
            }
            self.free.push(row);
            if self.index.is_empty() {
                self.shares.clear();
                self.types.clear();
            }
        } else {
            self.offer(row, ledger);
        }
        finished
    }

    /// A cell that a later item has carried out already is not carried out for an earlier one.
    fn supersede(&mut self, row: RowId, ledger: &Ledger) {
        let Some(slot) = self.rows.get_mut(row as usize).and_then(Option::as_mut) else { return };
        let mut carried: Vec<Cell> = Vec::new();
        let mut overtaken = 0;
        for item in slot.items.iter_mut().rev() {
            let own = ledger.cells(item.job);
            for (at, cell) in own.iter().enumerate() {
                match carried.iter().find(|other| other.fold == cell.fold) {
                    Some(other) if !item.done.has(at) => {
                        item.done.set(at, own.len());
                        item.superseded |= other.text() != cell.text();
                        item.unchanged = false;
                        overtaken += 1;
                    }
                    // One that set only what was missing did not decide what an earlier one would have.
                    None if item.done.has(at) && !cell.is_gentle() => carried.push(*cell),
                    _ => {}
                }
            }
        }
        self.left = self.left.saturating_sub(overtaken);
    }

    /// The row waits for a retry: newer work stays behind it.
    pub fn park(&mut self, row: RowId) {
        self.table.park(row);
    }

    /// Puts a free row where it may be cut.
    fn offer(&mut self, row: RowId, ledger: &Ledger) {
        let Some(slot) = self.row(row) else { return };
        let scope = self.scope(row);
        let wishes = scope
            .iter()
            .map(|item| ledger.cells(item.job).iter().enumerate().map(|(at, cell)| (cell, item.done.has(at))));
        let cells = merge::merge(&self.symbols, wishes);
        let urgent = scope.iter().any(|item| item.urgent);
        let (share, age) = (slot.share, self.age(row));
        self.table.put(row, share, age, urgent, cells);
    }

    /// The keys of an item that have been carried out.
    pub fn applied_keys(&self, item: &Item, ledger: &Ledger) -> Vec<String> {
        let cells = ledger.cells(item.job).iter().enumerate().filter(|(at, _)| item.done.has(*at));
        cells.map(|(_, cell)| self.symbols.peek(cell.key).to_owned()).collect()
    }

    /// Every row with its items, waiting ones included: for a sweep.
    pub fn sweep(&self) -> impl Iterator<Item = (RowId, bool, impl Iterator<Item = &Item>)> {
        self.rows.iter().enumerate().filter_map(|(id, row)| {
            let row = row.as_ref()?;
            Some((id as RowId, row.busy, row.items.iter().chain(&row.later)))
        })
    }

    /// Tags of a call in words: byte order of the keys, empty values where keys are removed.
    pub fn tags(&self, cells: &[Cell]) -> Vec<(Arc<str>, Arc<str>)> {
        let value = |cell: &Cell| cell.text().map_or_else(|| Arc::from(""), |value| self.symbols.text(value));
        let mut tags: Vec<_> = cells.iter().map(|cell| (self.symbols.text(cell.key), value(cell))).collect();
        tags.sort();
        tags
    }
}
