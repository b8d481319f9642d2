//! Dead letters back into their lanes, or thrown away.

use super::{
    Embedded,
    dead::{self, DeadCursor, Go},
    fault::Res,
    present,
    runs::{self, RunId},
    tables,
    txn::{Message, Txn},
};
use crate::broker::{BrokerError, DeadFilter, Pick, StoredDead, again};
use redb::{ReadTransaction, ReadableTable};

/// Dead letters that share one transaction: enough to be quick, few enough for anything else to get its turn.
const CHUNK: usize = 4000;

/// What a replay or a discard came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Dead letters taken out of the store.
    pub letters: u64,
    /// Items in them.
    pub items: u64,
    /// Messages that are no jobs, left where they are: they can be exported or discarded, never replayed.
    pub raw: u64,
    /// Ids that are not in the store.
    pub unknown: Vec<String>,
}

impl Embedded {
    /// Puts the failed items of dead letters back into their lanes as new jobs of `run`, in the order in which their
    /// jobs had arrived. Each dead letter leaves the store in the transaction that enqueues its job, so a kill in
    /// between leaves every item in exactly one of the two.
    pub async fn replay(&self, pick: Pick, run: RunId) -> Result<Replayed, BrokerError> {
        self.take_dead(pick, move |txn, key, done| {
            if txn.runs.get(run.0)?.is_none() {
                return Ok(false);
            }
            let Some(stored) = dead::get(txn, key)? else { return Ok(true) };
            let again = if stored.entry.raw { None } else { again::of_letter(&stored.entry.id, &stored.body, txn.now) };
            match again {
                Some(job) => {
                    dead::remove(txn, key)?;
                    let lane = txn.lane(&job.lane)?;
                    let StoredDead { entry, .. } = &stored;
                    let (line, trace) = (entry.line, entry.trace.as_ref());
                    txn.publish(lane, run.0, &Message { line, items: job.items, body: &job.body, trace })?;
                    done.letters += 1;
                    done.items += job.items;
                }
                None => done.raw += 1,
            }
            Ok(true)
        })
        .await?
        .ok_or_else(|| runs::unknown(run))
    }

    /// Removes dead letters for good.
    pub async fn discard(&self, pick: Pick) -> Result<Replayed, BrokerError> {
        let done = self
            .take_dead(pick, |txn, key, done| {
                if let Some(entry) = dead::remove(txn, key)? {
                    done.letters += 1;
                    done.items += entry.items;
                    done.raw += u64::from(entry.raw);
                }
                Ok(true)
            })
            .await?;
        Ok(done.unwrap_or_default())
    }

    /// Walks the picked dead letters in chunks, one transaction each. `None` when `each` refused.
    async fn take_dead(
        &self,
        pick: Pick,
        each: impl Fn(&mut Txn<'_>, (u64, u32), &mut Replayed) -> Res<bool> + Clone + Send + 'static,
    ) -> Result<Option<Replayed>, BrokerError> {
        let mut done = Replayed::default();
        let mut queue = match pick {
            Pick::Ids(ids) => {
                let (keys, unknown) = self.read(move |read| find(read, ids)).await?;
                done.unknown = unknown;
                Keys::Listed(keys)
            }
            Pick::Matching(filter) => {
                // What dies while we walk is not part of what was picked.
                let last = self.read(last_key).await?;
                Keys::Walk { left: filter.limit.unwrap_or(u64::MAX), filter, after: None, last }
            }
        };
        loop {
            let chunk = queue.next(self).await?;
            if chunk.is_empty() {
                return Ok(Some(done));
            }
            let each = each.clone();
            let step = self
                .write(move |txn| {
                    let mut step = Replayed::default();
                    for DeadCursor(arrival, number) in chunk {
                        if !each(txn, (arrival, number), &mut step)? {
                            return Ok(None);
                        }
                    }
                    Ok(Some(step))
                })
                .await?;
            let Some(step) = step else { return Ok(None) };
            done.letters += step.letters;
            done.items += step.items;
            done.raw += step.raw;
        }
    }
}

enum Keys {
    Listed(Vec<DeadCursor>),
    Walk { filter: DeadFilter, left: u64, after: Option<DeadCursor>, last: Option<DeadCursor> },
}

impl Keys {
    async fn next(&mut self, queue: &Embedded) -> Result<Vec<DeadCursor>, BrokerError> {
        match self {
            Self::Listed(keys) => {
                let rest = keys.split_off(keys.len().min(CHUNK));
                Ok(std::mem::replace(keys, rest))
            }
            Self::Walk { filter, left, after, last } => {
                let most = usize::try_from(*left).unwrap_or(CHUNK).min(CHUNK);
                let Some(last) = *last else { return Ok(Vec::new()) };
                if most == 0 {
                    return Ok(Vec::new());
                }
                let (filter, from) = (filter.clone(), *after);
                let found = queue
                    .read(move |read| {
                        let mut found = Vec::new();
                        dead::scan(read, &filter, from, |key, _| {
                            if key > last {
                                return Ok(Go::Stop(key));
                            }
                            found.push(key);
                            Ok(if found.len() >= most { Go::Stop(key) } else { Go::On })
                        })?;
                        Ok(found)
                    })
                    .await?;
                *left -= found.len() as u64;
                *after = found.last().copied().or(*after);
                Ok(found)
            }
        }
    }
}

/// The keys of these ids in the order of arrival, and the ids that nobody has.
fn find(read: &ReadTransaction, ids: Vec<String>) -> Res<(Vec<DeadCursor>, Vec<String>)> {
    let (mut keys, mut unknown) = (Vec::new(), Vec::new());
    for id in ids {
        match dead::key_of(read, &id)? {
            Some(key) => keys.push(key),
            None => unknown.push(id),
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok((keys, unknown))
}

fn last_key(read: &ReadTransaction) -> Res<Option<DeadCursor>> {
    let Some(dead) = present(read.open_table(tables::DEAD))? else { return Ok(None) };
    Ok(dead.last()?.map(|(key, _)| DeadCursor(key.value().0, key.value().1)))
}
