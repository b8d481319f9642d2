//! Calls that failed and go again as they were, each at its time: the untried first, then the oldest.

use super::event::Now;
use crate::{
    call::{Failure, Op},
    plan::{Cell, RowId},
};
use std::collections::{BTreeMap, BTreeSet};

/// Names a unit.
pub type UnitId = u64;

/// A call that has failed: it keeps its rows and cells until it succeeds, is halved, or an item dies.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Later units have higher ids.
    pub id: UnitId,
    /// The age of the work in it; halves keep their parent's, so that they go level by level.
    pub age: u64,
    /// The rows.
    pub rows: Vec<RowId>,
    /// What each of them gets.
    pub cells: Vec<Cell>,
    /// Transient failures so far.
    pub tries: u32,
    /// Successes of the lane when this work first failed: more since then are evidence against it.
    pub successes_then: Option<u64>,
    /// Successes of the lane when this work last failed.
    pub successes_last: u64,
    /// Part of a call that was rejected or keeps failing: never shares a call with other work.
    pub suspect: bool,
    /// The other half, while one success of the two proves the other guilty.
    pub sibling: Option<UnitId>,
    /// Work in it goes ahead of bulk work.
    pub urgent: bool,
    /// It failed before, so it counts as a retry.
    pub again: bool,
    /// Attempts spent in the run of transient failures of that number, to be given back if it makes an outage.
    pub spent: u32,
    /// That number.
    pub streak: u64,
    /// How often it was answered that the resources do not exist, and that may pass.
    pub missing: u32,
    /// The last failure.
    pub failure: Option<Failure>,
}

impl Unit {
    /// An attempt was spent in that run of transient failures.
    pub fn note_spent(&mut self, streak: u64) {
        if self.streak != streak {
            (self.streak, self.spent) = (streak, 0);
        }
        self.spent += 1;
    }

    /// Set or unset.
    pub fn op(&self) -> Op {
        self.cells.first().map_or(Op::Set, Cell::op)
    }
}

/// Failed calls that wait.
#[derive(Debug, Default)]
pub struct Queue {
    units: BTreeMap<UnitId, (Unit, Now)>,
    waiting: BTreeSet<(Now, UnitId)>,
    /// In the order they go: those the API has not failed before those it has, then the oldest. Where little is allowed,
    /// a few bad resources would otherwise use it all up, and nothing good could prove them guilty. Ordinary ones and
    /// urgent ones.
    due: [BTreeSet<(bool, u64, UnitId)>; 2],
    /// Those whose resources do not exist yet, urgent ones first: they stand in a line of their own, and hold nobody up.
    due_missing: BTreeSet<(bool, u64, UnitId)>,
    missing: usize,
    next: UnitId,
    rows: usize,
}

impl Queue {
    /// A new id.
    pub fn id(&mut self) -> UnitId {
        self.next += 1;
        self.next
    }

    /// The unit may go at `at`.
    pub fn push(&mut self, unit: Unit, at: Now) {
        self.rows += unit.rows.len();
        self.missing += usize::from(unit.missing > 0);
        self.waiting.insert((at, unit.id));
        let lost = self.units.insert(unit.id, (unit, at));
        debug_assert!(lost.is_none(), "L10: two failed calls with one id");
    }

    /// Moves units whose time has come.
    pub fn wake(&mut self, now: Now) {
        while let Some((at, id)) = self.waiting.first().copied() {
            if at > now {
                return;
            }
            self.waiting.pop_first();
            let Some((unit, _)) = self.units.get(&id) else { continue };
            if unit.missing > 0 {
                self.due_missing.insert((!unit.urgent, unit.age, id));
            } else if let Some(due) = self.due.get_mut(usize::from(unit.urgent)) {
                due.insert((unit.tries > 0, unit.age, id));
            }
        }
    }

    fn first_due(&self, urgent_first: bool) -> Option<(bool, u64, UnitId)> {
        let of = |urgent: bool| {
            let (_, age, id) = self.due.get(usize::from(urgent))?.first()?;
            Some((urgent, *age, *id))
        };
        of(urgent_first).or_else(|| of(!urgent_first))
    }

    /// Whether the unit that goes next is urgent, and its age.
    pub fn oldest_due(&self, urgent_first: bool) -> Option<(bool, u64)> {
        self.first_due(urgent_first).map(|(urgent, age, _)| (urgent, age))
    }

    /// Takes the unit that goes next.
    pub fn pop_due(&mut self, urgent_first: bool) -> Option<Unit> {
        let (.., id) = self.first_due(urgent_first)?;
        self.take(id)
    }

    /// Takes the unit that goes next of those whose resources do not exist yet.
    pub fn pop_missing(&mut self) -> Option<Unit> {
        let (.., id) = self.due_missing.first().copied()?;
        self.take(id)
    }

    /// Whether one of those may go now.
    pub fn has_missing_due(&self) -> bool {
        !self.due_missing.is_empty()
    }

    /// Whether nothing waits but those.
    pub fn has_only_missing(&self) -> bool {
        self.units.len() == self.missing
    }

    /// Takes the unit that waits longest in line for a probe, due or not.
    pub fn pop_any(&mut self) -> Option<Unit> {
        let id = *self.units.keys().next()?;
        self.take(id)
    }

    /// Takes one unit.
    pub fn take(&mut self, id: UnitId) -> Option<Unit> {
        self.take_with_time(id).map(|(unit, _)| unit)
    }

    /// Takes one unit; says when it may go.
    pub fn take_with_time(&mut self, id: UnitId) -> Option<(Unit, Now)> {
        let (unit, at) = self.units.remove(&id)?;
        self.waiting.remove(&(at, id));
        if let Some(due) = self.due.get_mut(usize::from(unit.urgent)) {
            due.remove(&(unit.tries > 0, unit.age, id));
        }
        self.due_missing.remove(&(!unit.urgent, unit.age, id));
        self.missing -= usize::from(unit.missing > 0);
        self.rows -= unit.rows.len();
        Some((unit, at))
    }

    /// When the next unit is due.
    pub fn next_at(&self) -> Option<Now> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// Whether a unit may go now.
    pub fn has_due(&self) -> bool {
        self.due.iter().any(|due| !due.is_empty())
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Rows that wait or are due.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Every unit.
    pub fn iter(&self) -> impl Iterator<Item = &Unit> {
        self.units.values().map(|(unit, _)| unit)
    }

    /// Takes every unit out.
    pub fn drain(&mut self) -> Vec<Unit> {
        let units = std::mem::take(&mut self.units);
        self.waiting.clear();
        self.due = Default::default();
        self.due_missing.clear();
        (self.rows, self.missing) = (0, 0);
        units.into_values().map(|(unit, _)| unit).collect()
    }
}
