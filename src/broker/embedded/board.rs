//! What this process remembers beside the file: open feeds, the end of each lane, running clocks.

use super::fault::Res;
use crate::worker::clock;
use redb::Table;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};
use tokio::sync::Notify;

/// One lane as this process sees it.
#[derive(Debug, Default)]
pub(super) struct Spot {
    /// The newest ticket that is in the file.
    pub(super) tail: AtomicU64,
    /// Whether somebody holds its feed.
    pub(super) taken: AtomicBool,
    /// The run whose job was acked last: calls are counted there when the lane is empty.
    pub(super) last_run: AtomicU64,
    /// Rung when something was published.
    pub(super) news: Notify,
}

/// Lanes and clocks of this process.
#[derive(Debug, Default)]
pub(super) struct Board {
    spots: Mutex<HashMap<u32, Arc<Spot>>>,
    clocks: Mutex<Clocks>,
}

impl Board {
    pub(super) fn spot(&self, lane: u32) -> Arc<Spot> {
        Arc::clone(lock(&self.spots).entry(lane).or_default())
    }

    pub(super) fn clocks(&self) -> MutexGuard<'_, Clocks> {
        lock(&self.clocks)
    }

    /// Tells the feeds what a committed transaction has published.
    pub(super) fn announce(&self, published: BTreeMap<u32, u64>) {
        for (lane, ticket) in published {
            let spot = self.spot(lane);
            spot.tail.fetch_max(ticket, Ordering::AcqRel);
            // Kept until the feed looks, so news that come between its look and its wait are not lost.
            spot.news.notify_one();
        }
    }
}

/// A panic while the lock was held leaves plain maps behind, which stay usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the runs of this process have been worked on.
#[derive(Debug, Default)]
pub(super) struct Clocks(BTreeMap<u64, RunClock>);

#[derive(Debug)]
struct RunClock {
    before: u64,
    since: Instant,
    saved: u64,
}

impl RunClock {
    fn millis(&self) -> u64 {
        let running = clock::monotonic().saturating_duration_since(self.since);
        self.before.saturating_add(u64::try_from(running.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Clocks {
    /// Starts the clock of a run where an earlier process stopped it.
    pub(super) fn start(&mut self, run: u64, before: u64) {
        self.0.entry(run).or_insert_with(|| RunClock { before, since: clock::monotonic(), saved: before });
    }

    pub(super) fn stop(&mut self, run: u64) {
        self.0.remove(&run);
    }

    /// Milliseconds so far, when this process works on the run.
    pub(super) fn millis(&self, run: u64) -> Option<u64> {
        self.0.get(&run).map(RunClock::millis)
    }

    /// Writes the clocks that moved: a kill loses no more than the time since the last write.
    pub(super) fn save(&mut self, table: &mut Table<'_, u64, u64>) -> Res<()> {
        for (run, clock) in &mut self.0 {
            let now = clock.millis();
            if now > clock.saved {
                table.insert(*run, now)?;
                clock.saved = now;
            }
        }
        Ok(())
    }
}
