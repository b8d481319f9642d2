//! Rows to jobs: consecutive rows of a lane that ask for the same become one message.

use crate::{
    cli::files::{Bad, Found},
    file,
    job::{Job, JobId, LaneName, Resource, stable_hash},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// Resources of one job at most. A worker holds up to 1,000 messages of a lane, and a job is parsed, kept and answered
/// as a whole: more of them in one message save nothing and cost memory.
const RESOURCES: usize = 1_000;
/// Bytes of one job, about: 1,000 messages of that size are 256 MB in a worker that sets no bound of its own.
const BYTES: usize = 256 * 1024;
/// Bytes of one job, never more: far below the 16 MiB of RabbitMQ 4, and what a dead letter of it may have.
const MOST_BYTES: usize = 1_000_000;
/// Bytes kept free for the id, which is made last.
const ID_ROOM: usize = 192;

/// What every job of a batch gets.
#[derive(Clone, Debug)]
pub struct Identity {
    batch: Arc<str>,
    /// When it began.
    pub created_at: Timestamp,
    /// What the ids of jobs that have none begin with.
    prefix: String,
}

/// One message of a batch, in the order in which they are sent.
#[derive(Debug)]
pub enum Piece {
    /// A job.
    Job(Job),
    /// A row that is none. The id is the same whenever the batch is read again.
    Bad(String, Bad),
}

/// Makes jobs of rows. The same rows give the same pieces.
pub struct Grouping<'i, K> {
    identity: &'i Identity,
    /// The provider's own name of a resource: two spellings of one resource give the same text.
    key: K,
    /// The job that grows, lane by lane: order matters only within a lane.
    open: BTreeMap<LaneName, Open>,
    /// Ids that rows brought themselves, as hashes: each must stand for one job.
    own: HashSet<u128>,
    jobs: u64,
    rows: u64,
}

/// A job that grows.
struct Open {
    job: Job,
    keys: HashSet<String>,
    bytes: usize,
    most: usize,
}

impl Identity {
    /// `created_at` is when the batch began, also when it is gone on with later.
    pub fn new(batch: &str, created_at: Timestamp) -> Self {
        // A batch of the same name that was sent, watched and removed before must not share ids with this one: a dead
        // letter of this one would pass for a repeat of a dead letter of that one.
        let mark = stable_hash(&[batch, &created_at.to_string()]);
        let prefix = format!("{batch}-{}", mark.get(..6).unwrap_or_default());
        Self { batch: batch.into(), created_at, prefix }
    }
}

impl<K: Fn(&LaneName, &Resource) -> String> Grouping<'_, K> {
    /// Nothing read yet.
    pub fn new(identity: &Identity, key: K) -> Grouping<'_, K> {
        Grouping { identity, key, open: BTreeMap::new(), own: HashSet::new(), jobs: 0, rows: 0 }
    }

    /// Takes one row of the file with that digest and emits what is finished by it.
    pub fn add<E>(
        &mut self,
        digest: &str,
        found: Found,
        emit: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        self.rows += 1;
        let (file, line, mut job) = match found {
            Found::Bad(bad) => return self.bad(digest, bad, emit),
            Found::Job { file, line, job, .. } => (file, line, job),
        };
        job.extras.batch = Some(Arc::clone(&self.identity.batch));
        job.extras.created_at.get_or_insert(self.identity.created_at);
        let refused = |job: &Job, why: &str| Bad {
            file,
            line,
            code: "invalid",
            message: why.to_owned(),
            lane: Some(job.lane.clone()),
            // A job that was parsed can be written.
            bytes: serde_json::to_vec(job).unwrap_or_default(),
        };
        let is_own = !job.id.as_str().strip_prefix(file::id_prefix(digest)).is_some_and(|rest| rest.starts_with('-'));
        if is_own && !self.own.insert(short(job.id.as_str())) {
            let bad = refused(&job, "id: an earlier row has the same id; within a batch an id stands for one job");
            return self.bad(digest, bad, emit);
        }
        let resources = std::mem::take(&mut job.resources);
        let base = size(&job) + ID_ROOM;
        let largest = resources.iter().map(size).max().unwrap_or(0);
        if base + largest + 1 > MOST_BYTES {
            job.resources = resources;
            let bad = refused(&job, "its tags and ext alone have more than 1 MB; a job has 1 MB at most");
            return self.bad(digest, bad, emit);
        }
        if is_own { self.whole(job, resources, base, emit) } else { self.grow(&job, resources, base, emit) }
    }

    /// Emits what is still open.
    pub fn finish<E>(mut self, emit: &mut impl FnMut(Piece) -> Result<(), E>) -> Result<(), E> {
        for (_, open) in std::mem::take(&mut self.open) {
            self.emit(open.job, None, emit)?;
        }
        Ok(())
    }

    /// Puts the resources of a row to those of the rows before it, where they ask for the same.
    fn grow<E>(
        &mut self,
        job: &Job,
        resources: Vec<Resource>,
        base: usize,
        emit: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        for resource in resources {
            let (key, bytes) = ((self.key)(&job.lane, &resource), size(&resource) + 1);
            let fits = self.open.get(&job.lane).is_some_and(|open| open.asks_for(job) && open.takes(&key, bytes));
            if !fits && let Some(full) = self.open.remove(&job.lane) {
                self.emit(full.job, None, emit)?;
            }
            let open = self.open.entry(job.lane.clone()).or_insert_with(|| Open::new(job.clone(), base));
            open.push(resource, key, bytes);
        }
        Ok(())
    }

    /// Keeps a job that has an id of its own as it is, unless it is too large.
    fn whole<E>(
        &mut self,
        job: Job,
        resources: Vec<Resource>,
        base: usize,
        emit: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        // What its lane got before it comes before it.
        if let Some(before) = self.open.remove(&job.lane) {
            self.emit(before.job, None, emit)?;
        }
        let id = job.id.clone();
        let mut parts = vec![Open::new(job, base)];
        for resource in resources {
            let bytes = size(&resource) + 1;
            match parts.last_mut() {
                Some(part) if part.has_room(bytes) => part.push_any(resource, bytes),
                Some(part) => {
                    let mut next = Open::new(Job { resources: Vec::new(), ..part.job.clone() }, base);
                    next.push_any(resource, bytes);
                    parts.push(next);
                }
                None => {}
            }
        }
        if let [_] = &*parts {
            return parts.into_iter().try_for_each(|only| self.emit(only.job, Some(id.as_str().to_owned()), emit));
        }
        parts.into_iter().enumerate().try_for_each(|(at, part)| {
            let name = format!("{id}.{}", at + 1);
            // An id has 128 characters at most; the hash of a longer one names it as well.
            let name = if name.len() > 128 { format!("{}.{}", stable_hash(&[id.as_str()]), at + 1) } else { name };
            self.emit(part.job, Some(name), emit)
        })
    }

    fn emit<E>(
        &mut self,
        mut job: Job,
        own: Option<String>,
        emit: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        self.jobs += 1;
        let id = own.unwrap_or_else(|| format!("{}-{}", self.identity.prefix, self.jobs));
        // A batch's name is short enough for that; where it were not, the id of its first row is as good.
        if let Ok(id) = JobId::new(&id) {
            job.id = id;
        }
        emit(Piece::Job(job))
    }

    fn bad<E>(&self, digest: &str, bad: Bad, emit: &mut impl FnMut(Piece) -> Result<(), E>) -> Result<(), E> {
        let batch = &self.identity.batch;
        // The number of the row too: a list can have several elements in one line, and a file can be given twice.
        let id = stable_hash(&["bad", batch, digest, &bad.line.to_string(), &self.rows.to_string()]);
        emit(Piece::Bad(id, bad))
    }
}

impl Open {
    fn new(job: Job, base: usize) -> Self {
        // Where the tags alone fill half of it, sticking to the smaller bound would repeat them for every few resources.
        let most = if base <= BYTES / 2 { BYTES } else { MOST_BYTES };
        Self { job, keys: HashSet::new(), bytes: base, most }
    }

    fn asks_for(&self, job: &Job) -> bool {
        self.job.set == job.set && self.job.unset == job.unset && self.job.extras == job.extras
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.job.resources.is_empty() || (self.job.resources.len() < RESOURCES && self.bytes + bytes <= self.most)
    }

    /// Twice in a job, a resource is an error; in two jobs the later one wins, as it does in the file.
    fn takes(&self, key: &str, bytes: usize) -> bool {
        self.has_room(bytes) && !self.keys.contains(key)
    }

    fn push(&mut self, resource: Resource, key: String, bytes: usize) {
        self.keys.insert(key);
        self.push_any(resource, bytes);
    }

    fn push_any(&mut self, resource: Resource, bytes: usize) {
        self.bytes += bytes;
        self.job.resources.push(resource);
    }
}

/// Bytes of a value as JSON.
fn size(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// 128 bits of an id.
fn short(id: &str) -> u128 {
    u128::from_str_radix(&stable_hash(&[id]), 16).unwrap_or_default()
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
