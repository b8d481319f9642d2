//! Which ticket waits on which item: every item gets one fate, every ticket one answer.

use super::event::{Action, Emission, EmitId, Now, Settings, Settlement, Work};
use crate::{
    job::{Extras, ItemFailure, Job, JobId, Mark, Receipt, Ticket, dead_letters, stable_id},
    plan::{Cell, Symbols, merge},
};
use jiff::{SignedDuration, Timestamp};
use rustc_hash::FxHashMap;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// The number of a job while the lane has it.
pub type JobKey = u32;

/// One job that is not settled yet.
#[derive(Debug)]
pub struct Record {
    ticket: Ticket,
    id: JobId,
    /// What each of its items sets and removes.
    pub cells: Box<[Cell]>,
    extras: Option<Arc<Extras>>,
    line: Option<u64>,
    items: u32,
    open: u32,
    tagged: u32,
    superseded: u32,
    unchanged: u32,
    failures: Vec<(u32, ItemFailure)>,
    /// Final items the broker has not been told of yet.
    marks: Vec<(u32, Mark)>,
    calls: u32,
    retries: u32,
    last_request: u64,
    attempts: Option<(Now, Now)>,
    emissions: Vec<EmitId>,
    /// What has not been sent is not sent any more.
    pub cancelled: bool,
}

/// What it takes to write a job's documents: when, for which lane, with which texts, and where they go.
pub struct Desk<'a> {
    /// Now.
    pub now: Now,
    /// The lane.
    pub settings: &'a Settings,
    /// Keys and values by number.
    pub symbols: &'a Symbols,
    /// What the shell shall do.
    pub out: &'a mut VecDeque<Action>,
}

/// The jobs of one lane.
#[derive(Debug, Default)]
pub struct Ledger {
    records: Vec<Option<Record>>,
    free: Vec<JobKey>,
    emits: BTreeMap<EmitId, (JobKey, Emission)>,
    next_emit: u64,
    open_items: usize,
    unmarked: BTreeSet<JobKey>,
    shared: Option<Arc<Extras>>,
    by_ticket: FxHashMap<Ticket, JobKey>,
    /// Items by fate since the lane was made: tagged, unchanged, dead.
    pub fates: [u64; 3],
}

impl Ledger {
    /// Takes a job on. The resources go elsewhere; `cells` hold their symbols until the job is settled.
    pub fn open(&mut self, work: &Work, cells: Box<[Cell]>) -> JobKey {
        let extras = &work.job.extras;
        let extras = if *extras == Extras::none() {
            None
        } else {
            // Jobs of one file carry the same extras: one copy serves them all.
            if self.shared.as_deref() != Some(extras) {
                self.shared = Some(Arc::new(extras.clone()));
            }
            self.shared.clone()
        };
        let items = work.job.resources.len() as u32;
        self.open_items += items as usize;
        let record = Record {
            ticket: work.ticket,
            id: work.job.id.clone(),
            cells,
            extras,
            line: work.line,
            items,
            open: items,
            tagged: 0,
            superseded: 0,
            unchanged: 0,
            failures: Vec::new(),
            marks: Vec::new(),
            calls: 0,
            retries: 0,
            last_request: 0,
            attempts: None,
            emissions: Vec::new(),
            cancelled: false,
        };
        let key = self.free.pop().unwrap_or(self.records.len() as JobKey);
        match self.records.get_mut(key as usize) {
            Some(slot) => *slot = Some(record),
            None => self.records.push(Some(record)),
        }
        self.by_ticket.insert(work.ticket, key);
        key
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

    /// Jobs that are not settled.
    pub fn jobs(&self) -> usize {
        self.by_ticket.len()
    }

    /// The line a job came from.
    pub fn line(&self, key: JobKey) -> Option<u64> {
        self.get(key)?.line
    }

    /// Marks jobs as cancelled, one by id or all; says whether there are any.
    pub fn cancel(&mut self, id: Option<&JobId>) -> bool {
        let mut any = false;
        for record in self.records.iter_mut().flatten() {
            if id.is_none_or(|id| *id == record.id) && record.open > 0 {
                record.cancelled = true;
                any = true;
            }
        }
        any
    }

    /// Whether what is left of the job shall not be sent.
    pub fn is_cancelled(&self, key: JobKey) -> bool {
        self.get(key).is_some_and(|record| record.cancelled)
    }

    /// A request with an item of this job leaves; `request` numbers the lane's requests from 1, follow-ups included.
    pub fn departed(&mut self, key: JobKey, request: u64, now: Now, retry: bool) {
        let Some(record) = self.get_mut(key) else { return };
        if record.last_request == request {
            return;
        }
        record.last_request = request;
        record.calls += 1;
        record.retries += u32::from(retry);
        record.attempts = Some((record.attempts.map_or(now, |(first, _)| first), now));
    }

    /// An item is final; `known` says that it was so before the lane saw it. The job's documents follow the last one.
    pub fn finish(&mut self, (key, index): (JobKey, u32), fate: Mark, known: bool, desk: &mut Desk<'_>) {
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::as_mut) else { return };
        debug_assert!(record.open > 0, "L1: an item of {:?} became final twice", record.id);
        record.open = record.open.saturating_sub(1);
        self.open_items = self.open_items.saturating_sub(1);
        // Until the ack a crash brings the job back. Then this item must not be done again after a later one, and what
        // was dead-lettered must stay dead: so every item is marked, the last one too, before its documents go out.
        if !known {
            record.marks.push((index, fate.clone()));
            self.unmarked.insert(key);
        }
        match fate {
            Mark::Tagged { superseded } => {
                record.tagged += 1;
                record.superseded += u32::from(superseded);
                self.fates[0] += 1;
            }
            Mark::Unchanged => {
                record.unchanged += 1;
                self.fates[1] += 1;
            }
            Mark::Dead(failure) => {
                record.failures.push((index, failure));
                self.fates[2] += 1;
            }
        }
        if record.open == 0 {
            self.unmarked.remove(&key);
            let marks = std::mem::take(&mut record.marks);
            if !marks.is_empty() {
                desk.out.push_back(Action::Mark(record.ticket, marks));
            }
            self.conclude(key, desk);
        }
    }

    /// Writes the documents of a finished job.
    fn conclude(&mut self, key: JobKey, desk: &mut Desk<'_>) {
        let Desk { now, settings, symbols, out } = desk;
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::as_mut) else { return };
        let mut failures = std::mem::take(&mut record.failures);
        let dead = failures.len() as u64;
        failures.sort_by_key(|(index, _)| *index);
        let extras = record.extras.as_deref();
        let mut emissions = Vec::new();
        if dead > 0 {
            let failures = failures.into_iter().map(|(_, failure)| failure).collect();
            let letters = dead_letters(with_tags(record, settings, symbols), failures);
            emissions.extend(letters.into_iter().map(|letter| Emission::DeadLetter(Box::new(letter))));
        }
        let receipt = Receipt {
            version: 1,
            id: stable_id(&skeleton(record, settings), "receipt"),
            job: record.id.clone(),
            lane: settings.name.clone(),
            batch: extras.and_then(|extras| extras.batch.as_deref().map(str::to_owned)),
            accepted: u64::from(record.items),
            tagged: u64::from(record.tagged),
            superseded: u64::from(record.superseded),
            unchanged: u64::from(record.unchanged),
            dead,
            calls: u64::from(record.calls),
            retries: u64::from(record.retries),
            first_attempt: record.attempts.map(|(first, _)| wall(settings, first)),
            last_attempt: record.attempts.map(|(_, last)| wall(settings, last)),
            finished_at: wall(settings, *now),
        };
        debug_assert!(receipt.adds_up(), "a receipt must add up: {receipt:?}");
        emissions.push(Emission::Receipt(Box::new(receipt)));
        let ticket = record.ticket;
        for emission in emissions {
            self.next_emit += 1;
            let emit = EmitId(self.next_emit);
            if let Some(record) = self.get_mut(key) {
                record.emissions.push(emit);
            }
            self.emits.insert(emit, (key, emission.clone()));
            out.push_back(Action::Emit(emit, ticket, emission));
        }
    }

    /// A document is safe with the broker, or must go out again.
    pub fn confirm(&mut self, emit: EmitId, ok: bool, symbols: &mut Symbols, out: &mut VecDeque<Action>) {
        let Some((key, emission)) = self.emits.get(&emit) else { return };
        let key = *key;
        let Some(record) = self.records.get_mut(key as usize).and_then(Option::as_mut) else { return };
        if !ok {
            out.push_back(Action::Emit(emit, record.ticket, emission.clone()));
            return;
        }
        self.emits.remove(&emit);
        record.emissions.retain(|other| *other != emit);
        if record.emissions.is_empty() {
            out.push_back(Action::Settle(record.ticket, Settlement::Done));
            merge::release(symbols, &record.cells);
            self.by_ticket.remove(&record.ticket);
            if let Some(slot) = self.records.get_mut(key as usize) {
                *slot = None;
            }
            self.free.push(key);
        }
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

    /// Hands back every ticket whose job is not finished. Jobs whose documents are on their way stay.
    pub fn return_unfinished(&mut self, symbols: &mut Symbols, out: &mut VecDeque<Action>) {
        for (key, slot) in self.records.iter_mut().enumerate() {
            if slot.as_ref().is_some_and(|record| record.open > 0)
                && let Some(record) = slot.take()
            {
                out.push_back(Action::Settle(record.ticket, Settlement::Returned));
                merge::release(symbols, &record.cells);
                self.by_ticket.remove(&record.ticket);
                self.open_items = self.open_items.saturating_sub(record.open as usize);
                self.free.push(key as JobKey);
            }
        }
    }
}

fn wall(settings: &Settings, now: Now) -> Timestamp {
    let since = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
    settings.epoch.checked_add(since).unwrap_or(settings.epoch)
}

/// The job without its resources.
fn with_tags(record: &Record, settings: &Settings, symbols: &Symbols) -> Job {
    let mut job = skeleton(record, settings);
    for cell in &record.cells {
        let key = symbols.text(cell.key);
        if cell.value == merge::REMOVE {
            job.unset.insert(key);
        } else {
            job.set.insert(key, symbols.text(cell.value));
        }
    }
    job
}

/// The job without its work: what its documents' ids are made of.
fn skeleton(record: &Record, settings: &Settings) -> Job {
    Job {
        id: record.id.clone(),
        lane: settings.name.clone(),
        resources: Vec::new(),
        set: BTreeMap::new(),
        unset: BTreeSet::new(),
        extras: record.extras.as_deref().cloned().unwrap_or_else(Extras::none),
    }
}
