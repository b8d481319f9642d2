//! Which ticket waits on which item: every item gets one fate, every ticket one answer.

use super::{
    arrivals::Arrivals,
    event::{Action, Cancel, Emission, EmitId, Now, Sent, Settings, Settlement, Work},
    gate::Gate,
    record::Record,
};
use crate::{
    job::{Extras, JobId, Mark, Ticket, Trace},
    plan::{Cell, Symbols, merge},
};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// The number of a job while the lane has it.
pub type JobKey = u32;

/// What it takes to write a job's documents: when, for which lane, with which texts, and where they go.
pub struct Desk<'a> {
    /// Now.
    pub now: Now,
    /// The lane.
    pub settings: &'a Settings,
    /// Keys and values by number.
    pub symbols: &'a mut Symbols,
    /// What the shell shall do.
    pub out: &'a mut VecDeque<Action>,
}

/// The jobs of one lane.
#[derive(Debug, Default)]
pub struct Ledger {
    records: Vec<Option<Record>>,
    free: Vec<JobKey>,
    arrivals: Arrivals,
    gate: Gate,
    emits: BTreeMap<EmitId, (JobKey, Emission)>,
    next_emit: u64,
    open_items: usize,
    held_items: usize,
    unmarked: BTreeSet<JobKey>,
    shared: Option<Arc<Extras>>,
    by_ticket: FxHashMap<Ticket, JobKey>,
    /// Items by fate since the lane was made: tagged, unchanged, dead.
    pub fates: [u64; 3],
    /// Calls that the jobs that are over would have made alone.
    pub alone: u64,
}

impl Ledger {
    /// Takes a job on. The resources go elsewhere; `cells` hold their symbols until the job is settled.
    pub fn open(&mut self, work: &Work, cells: Box<[Cell]>, now: Now, settings: &Settings) -> JobKey {
        let shared = Record::share(&work.job.extras, self.shared.as_ref());
        if shared.is_some() {
            self.shared.clone_from(&shared);
        }
        let record = Record::new(work, cells, shared, now, settings);
        self.open_items += record.items as usize;
        let key = self.free.pop().unwrap_or(self.records.len() as JobKey);
        match self.records.get_mut(key as usize) {
            Some(slot) => *slot = Some(record),
            None => self.records.push(Some(record)),
        }
        self.by_ticket.insert(work.ticket, key);
        self.arrivals.push(key);
        key
    }

    /// The job that was just taken on waits for earlier ones of its resources, which are named by their hashes.
    pub fn queue_up(&mut self, key: JobKey, resources: impl Iterator<Item = u64>) {
        self.gate.enter(key, resources);
    }

    /// Whether a job with that ticket is here already.
    pub fn has(&self, ticket: Ticket) -> bool {
        self.by_ticket.contains_key(&ticket)
    }

    /// A job that is not settled.
    pub fn get(&self, key: JobKey) -> Option<&Record> {
        self.records.get(key as usize)?.as_ref()
    }

    fn get_mut(&mut self, key: JobKey) -> Option<&mut Record> {
        self.records.get_mut(key as usize)?.as_mut()
    }

    /// The cells of a job.
    pub fn cells(&self, key: JobKey) -> &[Cell] {
        self.get(key).map_or(&[], |record| &record.cells)
    }

    /// Items that are not final.
    pub fn open_items(&self) -> usize {
        self.open_items
    }

    /// Items that take up room: those that are not final, and those of jobs that wait for an earlier one.
    pub fn items(&self) -> usize {
        self.open_items + self.held_items
    }

    /// Jobs that are not settled.
    pub fn jobs(&self) -> usize {
        self.by_ticket.len()
    }

    /// Jobs whose items are all final and that only wait for earlier ones of their resources.
    pub fn held(&self) -> usize {
        self.gate.held()
    }

    /// When the oldest job that is not settled was taken on.
    pub fn oldest(&self) -> Option<Now> {
        Some(self.get(self.arrivals.oldest()?)?.taken())
    }

    /// The line a job came from.
    pub fn line(&self, key: JobKey) -> Option<u64> {
        self.get(key)?.line
    }

    /// A job's id and trace.
    pub fn name(&self, key: JobKey) -> Option<(&JobId, Option<&Trace>)> {
        self.get(key).map(|record| (&record.id, record.trace.as_ref()))
    }

    /// Marks jobs as cancelled; says whether there are any with items that are not final.
    pub fn cancel(&mut self, which: &Cancel) -> bool {
        let mut any = false;
        for record in self.records.iter_mut().flatten().filter(|record| record.open > 0) {
            let meant = match which {
                Cancel::All => true,
                Cancel::Job(id) => *id == record.id,
                Cancel::Batch(batch) => record.batch() == Some(batch),
            };
            record.cancelled |= meant;
            any |= meant;
        }
        any
    }

    /// Whether what is left of the job shall not be sent.
    pub fn is_cancelled(&self, key: JobKey) -> bool {
        self.get(key).is_some_and(|record| record.cancelled)
    }

    /// A request with an item of this job leaves; `request` numbers the lane's requests from 1, follow-ups included.
    pub fn departed(&mut self, key: JobKey, request: u64, now: Now, sent: Sent) {
        if let Some(record) = self.get_mut(key) {
            record.departed(request, now, sent);
        }
    }

    /// An item is final; `known` says that it was so before the lane saw it. The job's documents follow the last one, at
    /// once or when its turn has come.
    pub fn finish(&mut self, (key, index): (JobKey, u32), fate: Mark, known: bool, desk: &mut Desk<'_>) {
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::as_mut) else { return };
        debug_assert!(record.open > 0, "L1: an item of {:?} became final twice", record.id);
        self.open_items = self.open_items.saturating_sub(1);
        // Until the ack a crash brings the job back. Then this item must not be done again after a later one, and what
        // was dead-lettered must stay dead: so every item is marked, the last one too, before its documents go out.
        // Where the broker remembers no marks, the gate keeps later jobs of its resources from being acked first.
        if !known && desk.settings.marks {
            record.marks.push((index, fate.clone()));
            self.unmarked.insert(key);
        }
        let place = match &fate {
            Mark::Tagged { .. } => 0,
            Mark::Unchanged => 1,
            Mark::Dead(_) => 2,
        };
        if let Some(count) = self.fates.get_mut(place) {
            *count += 1;
        }
        record.count(index, fate);
        if record.open > 0 {
            return;
        }
        self.unmarked.remove(&key);
        self.alone += record.alone(&desk.settings.caps);
        let marks = std::mem::take(&mut record.marks);
        if !marks.is_empty() {
            desk.out.push_back(Action::Mark(record.ticket, marks));
        }
        if self.gate.is_open(key) {
            self.conclude(key, desk.now, desk);
        } else {
            self.held_items += record.items as usize;
            self.gate.hold(key, desk.now);
        }
    }

    /// Writes the documents of a job whose last item became final at `finished`.
    fn conclude(&mut self, key: JobKey, finished: Now, desk: &mut Desk<'_>) {
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::as_mut) else { return };
        for emission in record.documents(desk.settings, desk.symbols, finished) {
            self.next_emit += 1;
            let emit = EmitId(self.next_emit);
            record.unconfirmed += 1;
            self.emits.insert(emit, (key, emission.clone()));
            desk.out.push_back(Action::Emit(emit, record.ticket, emission));
        }
    }

    /// A document is safe with the broker, or must go out again. With its last document a job is settled, and whoever
    /// waited for it may follow.
    pub fn confirm(&mut self, emit: EmitId, ok: bool, desk: &mut Desk<'_>) {
        let Some((key, emission)) = self.emits.get(&emit) else { return };
        let key = *key;
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::as_mut) else { return };
        if !ok {
            desk.out.push_back(Action::Emit(emit, record.ticket, emission.clone()));
            return;
        }
        self.emits.remove(&emit);
        record.unconfirmed = record.unconfirmed.saturating_sub(1);
        if record.unconfirmed > 0 {
            return;
        }
        self.settle(key, Settlement::Done, desk);
        for (next, finished) in self.gate.settled(key) {
            let items = self.get(next).map_or(0, |record| record.items);
            self.held_items = self.held_items.saturating_sub(items as usize);
            self.conclude(next, finished, desk);
        }
    }

    /// Answers a job's ticket and forgets the job.
    fn settle(&mut self, key: JobKey, settlement: Settlement, desk: &mut Desk<'_>) {
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::take) else { return };
        desk.out.push_back(Action::Settle(record.ticket, settlement));
        merge::release(desk.symbols, &record.cells);
        self.by_ticket.remove(&record.ticket);
        self.arrivals.remove(key);
        self.free.push(key);
        self.open_items = self.open_items.saturating_sub(record.open as usize);
    }

    /// Tells the broker of items that are final while their jobs are not.
    pub fn flush_marks(&mut self, out: &mut VecDeque<Action>) {
        while let Some(key) = self.unmarked.pop_first() {
            let Some(record) = self.get_mut(key) else { continue };
            let marks = std::mem::take(&mut record.marks);
            if !marks.is_empty() {
                out.push_back(Action::Mark(record.ticket, marks));
            }
        }
    }

    /// Hands back every ticket whose job has no documents yet: it is not finished, or waits for an earlier one that is
    /// not. Jobs whose documents are on their way stay, and nobody waits for them any more.
    pub fn return_unfinished(&mut self, desk: &mut Desk<'_>) {
        let over = |key: &JobKey| self.get(*key).is_none_or(|record| record.unconfirmed == 0);
        for key in self.arrivals.iter().filter(over).collect::<Vec<_>>() {
            self.settle(key, Settlement::Returned, desk);
        }
        self.gate.forget();
        self.held_items = 0;
    }
}
