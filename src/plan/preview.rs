//! The calls that a set of jobs needs when all of them are pending at once: what `tagmill plan` prints.

use super::{Caps, Cell, Rectangle, RowId, Symbols, Table, merge};
use crate::job::Resource;
use rustc_hash::FxHashMap;
use std::{sync::Arc, time::Duration};

/// Jobs of one lane, gathered to be planned.
#[derive(Debug)]
pub struct Preview {
    caps: Caps,
    symbols: Symbols,
    index: FxHashMap<Box<str>, RowId>,
    rows: Vec<Wishes>,
    shares: FxHashMap<Box<str>, u32>,
    jobs: Vec<Box<[Cell]>>,
    items: u64,
}

#[derive(Debug)]
struct Wishes {
    resource: Resource,
    share: u32,
    jobs: Vec<u32>,
}

/// A planned rectangle in words: resources and cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The resources.
    pub resources: Vec<Resource>,
    /// Keys, and the value each gets; none where the key is removed.
    pub tags: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl Preview {
    /// Nothing gathered yet.
    pub fn new(caps: Caps) -> Self {
        Self {
            caps,
            symbols: Symbols::default(),
            index: FxHashMap::default(),
            rows: Vec::new(),
            shares: FxHashMap::default(),
            jobs: Vec::new(),
            items: 0,
        }
    }

    /// Adds a job after the ones before it. `name` gives a resource's identity and what it may share a call with.
    pub fn add<'a>(
        &mut self,
        resources: impl Iterator<Item = &'a Resource>,
        set: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)>,
        unset: impl Iterator<Item = &'a Arc<str>>,
        name: impl Fn(&Resource) -> (String, String),
        fold: impl Fn(&str) -> String,
    ) {
        let job = self.jobs.len() as u32;
        self.jobs.push(merge::cells_of(&mut self.symbols, set, unset, false, fold));
        for resource in resources {
            let (key, share) = name(resource);
            self.items += 1;
            if let Some(row) = self.index.get(key.as_str()) {
                if let Some(row) = self.rows.get_mut(*row as usize) {
                    row.jobs.push(job);
                }
                continue;
            }
            let next = self.shares.len() as u32;
            let share = *self.shares.entry(share.into()).or_insert(next);
            self.index.insert(key.into(), self.rows.len() as RowId);
            self.rows.push(Wishes { resource: resource.clone(), share, jobs: vec![job] });
        }
    }

    /// Items gathered: one per resource of each job.
    pub fn items(&self) -> u64 {
        self.items
    }

    /// Distinct resources gathered.
    pub fn resources(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Cuts every call, in the order a lane would send them, and hands each to `see`. Returns how many there are.
    pub fn cut(&self, mut see: impl FnMut(&Rectangle)) -> u64 {
        let mut table = Table::new(self.caps);
        for (row, wishes) in self.rows.iter().enumerate() {
            table.put(row as RowId, wishes.share, row as u64, false, self.merged(wishes));
        }
        let mut calls = 0;
        while let Some(rectangle) = table.cut(Duration::ZERO, &self.symbols) {
            calls += 1;
            see(&rectangle);
            table.put_back(&rectangle);
        }
        calls
    }

    fn merged(&self, row: &Wishes) -> Vec<Cell> {
        let wishes = row.jobs.iter().filter_map(|job| self.jobs.get(*job as usize));
        merge::merge(&self.symbols, wishes.map(|cells| cells.iter().map(|cell| (cell, false))))
    }

    /// A rectangle in words.
    pub fn words(&self, rectangle: &Rectangle) -> Planned {
        let resources = rectangle.rows.iter().filter_map(|row| self.rows.get(*row as usize));
        let value = |cell: &Cell| cell.text().map(|value| self.symbols.text(value));
        Planned {
            resources: resources.map(|row| row.resource.clone()).collect(),
            tags: rectangle.cells.iter().map(|cell| (self.symbols.text(cell.key), value(cell))).collect(),
        }
    }
}

/// The number of calls, for callers that need nothing else.
pub fn preview(preview: &Preview) -> u64 {
    preview.cut(|_| {})
}
