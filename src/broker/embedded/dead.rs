//! The dead-letter store: kept in the order in which the jobs arrived, looked up by id, listed page by page.

use super::{
    Embedded,
    deeds::Row,
    fault::{Fault, Res},
    present, tables,
    txn::Txn,
};
use crate::{
    broker::{BrokerError, DeadCount, DeadEntry, DeadFilter, RawDeadLetter, StoredDead, dead::LISTED_MESSAGE},
    job::{DeadLetter, stable_hash},
};
use redb::{ReadTransaction, ReadableTable};

/// Bytes of dead letters in one page at most (one always fits).
const PAGE_BYTES: usize = 16 << 20;

/// A place in the list of dead letters, to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeadCursor(pub(super) u64, pub(super) u32);

/// Some dead letters in the order in which their jobs arrived.
#[derive(Clone, Debug)]
pub struct DeadPage<T> {
    /// At most as many as were asked for.
    pub found: Vec<T>,
    /// Where to go on; none at the end.
    pub next: Option<DeadCursor>,
}

impl Embedded {
    /// Dead letters that pass the filter, `most` at a time. The filter's `limit` is the caller's to count.
    pub async fn dead_letters(
        &self,
        filter: DeadFilter,
        after: Option<DeadCursor>,
        most: usize,
    ) -> Result<DeadPage<DeadEntry>, BrokerError> {
        self.read(move |read| {
            let mut found = Vec::new();
            let next = scan(read, &filter, after, |key, entry| {
                found.push(entry);
                Ok(if found.len() >= most { Go::Stop(key) } else { Go::On })
            })?;
            Ok(DeadPage { found, next })
        })
        .await
    }

    /// The same with bodies.
    pub async fn dead_letters_in_full(
        &self,
        filter: DeadFilter,
        after: Option<DeadCursor>,
        most: usize,
    ) -> Result<DeadPage<StoredDead>, BrokerError> {
        self.read(move |read| {
            let mut found = Vec::new();
            let mut bytes = 0;
            let next = scan(read, &filter, after, |key, entry| {
                let body = body(read, key)?;
                bytes += body.len();
                found.push(StoredDead { entry, body });
                Ok(if found.len() >= most || bytes >= PAGE_BYTES { Go::Stop(key) } else { Go::On })
            })?;
            Ok(DeadPage { found, next })
        })
        .await
    }

    /// One dead letter by its id.
    pub async fn dead_letter(&self, id: &str) -> Result<Option<StoredDead>, BrokerError> {
        let id = id.to_owned();
        self.read(move |read| {
            let Some(key) = key_of(read, &id)? else { return Ok(None) };
            let Some(dead) = present(read.open_table(tables::DEAD))? else { return Ok(None) };
            let Some(entry) = ReadableTable::get(&dead, (key.0, key.1))? else { return Ok(None) };
            let entry = serde_json::from_slice(entry.value())?;
            Ok(Some(StoredDead { entry, body: body(read, key)? }))
        })
        .await
    }

    /// How many pass the filter.
    pub async fn count_dead(&self, filter: DeadFilter) -> Result<DeadCount, BrokerError> {
        self.read(move |read| {
            let mut count = DeadCount::default();
            let limit = filter.limit.unwrap_or(u64::MAX);
            scan(read, &filter, None, |key, entry| {
                if count.letters >= limit {
                    return Ok(Go::Stop(key));
                }
                count.letters += 1;
                count.items += entry.items;
                count.raw += u64::from(entry.raw);
                Ok(Go::On)
            })?;
            Ok(count)
        })
        .await
    }
}

/// Whether a scan goes on, or stops behind a key.
pub(super) enum Go {
    On,
    Stop(DeadCursor),
}

/// Walks the dead letters behind `after`; returns where it was stopped.
pub(super) fn scan(
    read: &ReadTransaction,
    filter: &DeadFilter,
    after: Option<DeadCursor>,
    mut visit: impl FnMut(DeadCursor, DeadEntry) -> Res<Go>,
) -> Res<Option<DeadCursor>> {
    use std::ops::Bound;
    let Some(dead) = present(read.open_table(tables::DEAD))? else { return Ok(None) };
    let from = after.map_or(Bound::Unbounded, |DeadCursor(arrival, number)| Bound::Excluded((arrival, number)));
    for row in dead.range((from, Bound::Unbounded))? {
        let (key, entry) = row?;
        let entry: DeadEntry = serde_json::from_slice(entry.value())?;
        if filter.takes(&entry) {
            let (arrival, number) = key.value();
            if let Go::Stop(at) = visit(DeadCursor(arrival, number), entry)? {
                return Ok(Some(at));
            }
        }
    }
    Ok(None)
}

pub(super) fn key_of(read: &ReadTransaction, id: &str) -> Res<Option<DeadCursor>> {
    let Some(ids) = present(read.open_table(tables::DEAD_IDS))? else { return Ok(None) };
    Ok(ReadableTable::get(&ids, id)?.map(|key| DeadCursor(key.value().0, key.value().1)))
}

fn body(read: &ReadTransaction, key: DeadCursor) -> Res<Vec<u8>> {
    let bodies = read.open_table(tables::DEAD_BODIES)?;
    let body = ReadableTable::get(&bodies, (key.0, key.1))?;
    Ok(body.ok_or_else(|| Fault::Record("a dead letter without its body".into()))?.value().to_vec())
}

/// Where a dead letter comes from: the arrival of its message, and the message while it is pending.
#[derive(Clone, Copy)]
pub(super) struct From {
    pub(super) arrival: u64,
    pub(super) row: Option<Row>,
}

/// Records the failed items of a job.
pub(super) fn record(txn: &mut Txn<'_>, from: From, mut letter: DeadLetter) -> Res<()> {
    let mut codes: Vec<String> = Vec::new();
    for failure in &letter.failures {
        if !codes.contains(&failure.code) {
            codes.push(failure.code.clone());
        }
    }
    let first = letter.failures.first();
    let entry = DeadEntry {
        id: letter.id.clone(),
        lane: Some(letter.job.lane.clone()),
        job: Some(letter.job.id.clone()),
        items: letter.job.resources.len() as u64,
        codes,
        message: first.map(|first| first.message.chars().take(LISTED_MESSAGE).collect()).unwrap_or_default(),
        recorded_at: txn.now,
        raw: false,
        source: letter.job.extras.source.as_deref().map(str::to_owned),
        line: first.and_then(|first| first.line),
        run: from.row.map_or(0, |row| row.run),
        trace: letter.job.extras.trace.clone(),
    };
    let job = serde_json::to_value(&letter.job)?;
    let same = |stored: &[u8]| {
        let stored: Result<serde_json::Value, _> = serde_json::from_slice(stored);
        stored.is_ok_and(|stored| stored.get("job") == Some(&job))
    };
    let content = serde_json::to_vec(&job)?;
    put(txn, from, entry, &Letter { content: &content, same: &same }, |id| {
        id.clone_into(&mut letter.id);
        Ok(serde_json::to_vec(&letter)?)
    })
}

/// Records a message that is no job.
pub(super) fn record_raw(txn: &mut Txn<'_>, from: From, raw: RawDeadLetter) -> Res<()> {
    let entry = DeadEntry {
        id: raw.id,
        lane: raw.lane,
        job: None,
        items: from.row.map_or(1, |row| row.items),
        codes: vec![raw.code],
        message: raw.message,
        recorded_at: txn.now,
        raw: true,
        source: raw.source,
        line: raw.line,
        run: from.row.map_or(0, |row| row.run),
        // It cannot be sent again.
        trace: None,
    };
    let body = raw.body;
    put(txn, from, entry, &Letter { content: &body, same: &|stored| stored == body }, |_| Ok(body.clone()))
}

/// Stores a dead letter under its id.
///
/// The same message again (after a crash) takes the place of its earlier record, and so does the very same job of
/// another run. Any other job that happens to have the same id (two rows of a file with one id) must not push the first
/// one out: it is stored under a longer id, see [`names`].
fn put(
    txn: &mut Txn<'_>,
    from: From,
    mut entry: DeadEntry,
    letter: &Letter<'_>,
    body: impl FnOnce(&str) -> Res<Vec<u8>>,
) -> Res<()> {
    let (own, free) = of_arrival(txn, from.arrival, &entry.id)?;
    let key = match own {
        // The message is settled and its dead letters with it: a late word changes nothing.
        Some(_) if from.row.is_none() => return Ok(()),
        Some((key, id)) => {
            entry.id = id;
            key
        }
        None => {
            entry.id = place(txn, from, &entry.id, letter)?;
            (from.arrival, free)
        }
    };
    let body = body(&entry.id)?;
    txn.dead.insert(key, serde_json::to_vec(&entry)?.as_slice())?;
    txn.dead_bodies.insert(key, body.as_slice())?;
    txn.dead_ids.insert(entry.id.as_str(), key)?;
    Ok(())
}

/// What makes a dead letter the same as one of another run.
struct Letter<'a> {
    /// Its job, or the message that is no job.
    content: &'a [u8],
    /// Whether a stored body has that content.
    same: &'a dyn Fn(&[u8]) -> bool,
}

/// The ids a dead letter may get: its own; that with a hash of its content, so that the same job of a later run finds
/// it; that with its arrival, which nobody else has. Three look-ups, however many share an id.
fn names(wanted: &str, content: &[u8], arrival: u64) -> [String; 3] {
    let hash = stable_hash(&[&String::from_utf8_lossy(content)]);
    let hash = hash.get(..12).unwrap_or(&hash);
    [wanted.to_owned(), format!("{wanted}-{hash}"), format!("{wanted}-n{arrival}")]
}

/// The id for a dead letter whose message has none under `wanted` yet; the same job of another run makes way for it.
fn place(txn: &mut Txn<'_>, from: From, wanted: &str, letter: &Letter<'_>) -> Res<String> {
    if txn.dead_ids.get(wanted)?.is_none() {
        return Ok(wanted.to_owned());
    }
    let names = names(wanted, letter.content, from.arrival);
    for name in &names {
        let Some(taken) = txn.dead_ids.get(name.as_str())?.map(|key| key.value()) else { return Ok(name.clone()) };
        if of_another_run(txn, from, taken)? && txn.dead_bodies.get(taken)?.is_some_and(|it| (letter.same)(it.value()))
        {
            remove(txn, taken)?;
            return Ok(name.clone());
        }
    }
    let [.., last] = names;
    Err(Fault::Record(format!("the dead letter {last} belongs to another message")))
}

/// Whether a stored dead letter belongs to another run than a message. Work outside of runs is never one with others.
fn of_another_run(txn: &Txn<'_>, from: From, taken: (u64, u32)) -> Res<bool> {
    let Some(row) = from.row else { return Ok(false) };
    let Some(stored) = txn.dead.get(taken)? else { return Ok(true) };
    let stored: DeadEntry = serde_json::from_slice(stored.value())?;
    Ok(stored.run == 0 || stored.run != row.run)
}

/// The dead letter that a message has under an id or a longer form of it, and the first free number of that message.
fn of_arrival(txn: &Txn<'_>, arrival: u64, wanted: &str) -> Res<(Option<OwnLetter>, u32)> {
    let mut free = 0;
    for row in txn.dead.range((arrival, 0)..=(arrival, u32::MAX))? {
        let (key, entry) = row?;
        let key = key.value();
        let DeadEntry { id, .. } = serde_json::from_slice(entry.value())?;
        if id.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            return Ok((Some((key, id)), free));
        }
        free = key.1 + 1;
    }
    Ok((None, free))
}

/// A stored dead letter's key and id.
type OwnLetter = ((u64, u32), String);

/// Whether the message of this arrival has a raw dead letter.
pub(super) fn has_raw(txn: &Txn<'_>, arrival: u64) -> Res<bool> {
    for row in txn.dead.range((arrival, 0)..=(arrival, u32::MAX))? {
        let (_, entry) = row?;
        if serde_json::from_slice::<DeadEntry>(entry.value())?.raw {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One dead letter, as this transaction sees it.
pub(super) fn get(txn: &Txn<'_>, key: (u64, u32)) -> Res<Option<StoredDead>> {
    let Some(entry) = txn.dead.get(key)? else { return Ok(None) };
    let entry = serde_json::from_slice(entry.value())?;
    let body = txn.dead_bodies.get(key)?.map(|body| body.value().to_vec());
    let body = body.ok_or_else(|| Fault::Record("a dead letter without its body".into()))?;
    Ok(Some(StoredDead { entry, body }))
}

/// Takes a dead letter out of the store; `None` when it is gone already.
pub(super) fn remove(txn: &mut Txn<'_>, key: (u64, u32)) -> Res<Option<DeadEntry>> {
    let Some(entry) = txn.dead.remove(key)?.map(|entry| entry.value().to_vec()) else { return Ok(None) };
    let entry: DeadEntry = serde_json::from_slice(&entry)?;
    txn.dead_bodies.remove(key)?;
    txn.dead_ids.remove(entry.id.as_str())?;
    Ok(Some(entry))
}
