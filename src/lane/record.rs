//! One job that is not settled: what is counted of it, and the documents it ends in.

use super::event::{Emission, Now, Sent, Settings, Work};
use crate::{
    job::{Extras, ItemFailure, Job, JobId, Mark, Receipt, Ticket, Trace, VERSION, dead_letters, stable_id},
    plan::{Caps, Cell, Symbols},
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// One job that is not settled yet. There are as many as pending items where jobs are small, so it is kept small.
#[derive(Debug)]
pub struct Record {
    /// To be answered once.
    pub ticket: Ticket,
    /// The job's id.
    pub id: JobId,
    /// What each of its items sets and removes.
    pub cells: Box<[Cell]>,
    /// What many jobs have in common; `None` for what [`Extras::none`] says.
    extras: Option<Arc<Extras>>,
    /// When it was made: as it says itself, or when the lane took it on.
    pub created: Timestamp,
    /// It says so itself.
    dated: bool,
    /// Until then a resource that does not exist may only be new.
    not_found_until: Option<Timestamp>,
    /// The trace of its message.
    pub trace: Option<Trace>,
    /// The line of the file it came from.
    pub line: Option<u64>,
    /// Its items.
    pub items: u32,
    /// Of those, not final.
    pub open: u32,
    tagged: u32,
    superseded: u32,
    unchanged: u32,
    failures: Vec<(u32, ItemFailure)>,
    /// Final items the broker has not been told of yet.
    pub marks: Vec<(u32, Mark)>,
    calls: u32,
    retries: u32,
    /// Of the calls, those that were the first for some of its work.
    firsts: u32,
    last_request: u64,
    /// Times are nanoseconds of the lane's clock. Those of the calls say something once there was one.
    taken: u64,
    first_call_at: u64,
    last_call_at: u64,
    /// Documents the broker has not confirmed. Above zero the job is over and only waits for them.
    pub unconfirmed: u32,
    /// What has not been sent is not sent any more.
    pub cancelled: bool,
}

impl Record {
    /// A job none of whose items is final. `shared` is what it has in common with others, see [`Record::share`].
    pub fn new(work: &Work, cells: Box<[Cell]>, shared: Option<Arc<Extras>>, now: Now, settings: &Settings) -> Self {
        let items = work.job.resources.len() as u32;
        let own = &work.job.extras;
        Self {
            ticket: work.ticket,
            id: work.job.id.clone(),
            cells,
            extras: shared,
            created: own.created_at.unwrap_or_else(|| wall(settings, now)),
            dated: own.created_at.is_some(),
            not_found_until: own.not_found_until,
            trace: own.trace.clone(),
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
            firsts: 0,
            last_request: 0,
            taken: nanos(now),
            first_call_at: 0,
            last_call_at: 0,
            unconfirmed: 0,
            cancelled: false,
        }
    }

    /// The part of a job's extras that it has in common with others of its file or batch, `before` again where it is
    /// the same: one copy serves them all.
    pub fn share(extras: &Extras, before: Option<&Arc<Extras>>) -> Option<Arc<Extras>> {
        if alike(extras, &Extras::none()) {
            return None;
        }
        let before = before.filter(|before| alike(extras, before)).cloned();
        before.or_else(|| {
            Some(Arc::new(Extras { created_at: None, trace: None, not_found_until: None, ..extras.clone() }))
        })
    }

    /// When the lane took the job on.
    pub fn taken(&self) -> Now {
        Duration::from_nanos(self.taken)
    }

    /// Until when, on the lane's clock, a resource of this job that does not exist may only be new.
    pub fn not_found_until(&self, settings: &Settings) -> Option<Now> {
        Duration::try_from(self.not_found_until?.duration_since(settings.epoch)).ok()
    }

    /// The batch it was submitted in.
    pub fn batch(&self) -> Option<&Arc<str>> {
        self.extras.as_ref()?.batch.as_ref()
    }

    /// A request with an item of this job leaves, see [`super::ledger::Ledger::departed`].
    pub fn departed(&mut self, request: u64, now: Now, sent: Sent) {
        if self.last_request == request {
            return;
        }
        self.last_request = request;
        self.last_call_at = nanos(now);
        if self.calls == 0 {
            self.first_call_at = self.last_call_at;
        }
        self.calls += 1;
        self.retries += u32::from(sent == Sent::Again);
        self.firsts += u32::from(sent == Sent::First);
    }

    /// Of the calls it was in, how many it would have made alone too. What was never sent would not have been.
    pub fn alone(&self, caps: &Caps) -> u64 {
        caps.alone(self.items as usize, &self.cells).min(self.firsts.into())
    }

    /// An item is final.
    pub fn count(&mut self, index: u32, fate: Mark) {
        self.open = self.open.saturating_sub(1);
        match fate {
            Mark::Tagged { superseded } => {
                self.tagged += 1;
                self.superseded += u32::from(superseded);
            }
            Mark::Unchanged => self.unchanged += 1,
            Mark::Dead(failure) => self.failures.push((index, failure)),
        }
    }

    /// The dead letters, if any, and the receipt of the job, whose last item became final at `finished`.
    pub fn documents(&mut self, settings: &Settings, symbols: &Symbols, finished: Now) -> Vec<Emission> {
        let mut failures = std::mem::take(&mut self.failures);
        let dead = failures.len() as u64;
        failures.sort_by_key(|(index, _)| *index);
        let mut emissions = Vec::new();
        if dead > 0 {
            let failures = failures.into_iter().map(|(_, failure)| failure).collect();
            let letters = dead_letters(self.with_tags(settings, symbols), failures);
            emissions.extend(letters.into_iter().map(|letter| Emission::DeadLetter(Box::new(letter))));
        }
        let called = |at: u64| (self.calls > 0).then(|| wall(settings, Duration::from_nanos(at)));
        let receipt = Receipt {
            version: VERSION,
            id: stable_id(&self.skeleton(settings), "receipt"),
            job: self.id.clone(),
            lane: settings.name.clone(),
            batch: self.batch().map(ToString::to_string),
            accepted: u64::from(self.items),
            tagged: u64::from(self.tagged),
            superseded: u64::from(self.superseded),
            unchanged: u64::from(self.unchanged),
            dead,
            calls: u64::from(self.calls),
            retries: u64::from(self.retries),
            first_attempt: called(self.first_call_at),
            last_attempt: called(self.last_call_at),
            finished_at: wall(settings, finished),
            duration_ms: finished.saturating_sub(self.taken()).as_millis() as u64,
            trace: self.trace.as_ref().map(|trace| trace.parent().to_owned()),
        };
        debug_assert!(receipt.adds_up(), "a receipt must add up: {receipt:?}");
        emissions.push(Emission::Receipt(Box::new(receipt)));
        emissions
    }

    /// The job without its resources.
    fn with_tags(&self, settings: &Settings, symbols: &Symbols) -> Job {
        let mut job = self.skeleton(settings);
        for cell in &self.cells {
            let key = symbols.text(cell.key);
            match cell.text() {
                None => drop(job.unset.insert(key)),
                Some(value) => drop(job.set.insert(key, symbols.text(value))),
            }
        }
        job
    }

    /// The job without its work: what its documents' ids are made of.
    fn skeleton(&self, settings: &Settings) -> Job {
        let shared = self.extras.as_deref().cloned().unwrap_or_else(Extras::none);
        Job {
            id: self.id.clone(),
            lane: settings.name.clone(),
            resources: Vec::new(),
            set: BTreeMap::new(),
            unset: BTreeSet::new(),
            extras: Extras {
                created_at: self.dated.then_some(self.created),
                trace: self.trace.clone(),
                not_found_until: self.not_found_until,
                ..shared
            },
        }
    }
}

/// Whether two jobs differ in nothing but what each has for itself.
fn alike(one: &Extras, other: &Extras) -> bool {
    let Extras { source, batch, created_at: _, priority, overwrite, not_found_until: _, replay, ext, trace: _ } = one;
    (source, batch, priority, overwrite) == (&other.source, &other.batch, &other.priority, &other.overwrite)
        && (replay, ext) == (&other.replay, &other.ext)
}

/// The wall clock at a time of the lane's.
fn wall(settings: &Settings, now: Now) -> Timestamp {
    let since = SignedDuration::try_from(now).unwrap_or(SignedDuration::MAX);
    settings.epoch.checked_add(since).unwrap_or(settings.epoch)
}

fn nanos(now: Now) -> u64 {
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
