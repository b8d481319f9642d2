//! What the feeds of one process share with whoever settles and whoever asks: who is open, what it holds, what it needs.

use super::{keeper::Ack, window::Load};
use crate::{
    broker::CallCounts,
    job::{LaneName, Trace},
};
use rustc_hash::FxHashMap;
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::mpsc;

/// Feeds whose lane is remembered after their end, so that a late settlement can be told which lane it was.
const REMEMBERED: usize = 1_000;

/// What a lane of this worker holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneHeld {
    /// Messages that are not acked.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages it may hold.
    pub prefetch: u16,
    /// How long ago the oldest was handed out, or renewed.
    pub oldest: Option<Duration>,
    /// The broker has handed out a message: the lane is ours. An idle lane may be ours and say no; the broker tells in
    /// no other way.
    pub is_active: bool,
}

/// One open feed.
#[derive(Clone, Debug)]
pub(super) struct OpenFeed {
    pub(super) lane: LaneName,
    pub(super) acks: mpsc::Sender<Ack>,
    pub(super) state: Arc<FeedState>,
}

/// All feeds of a process.
#[derive(Debug, Default)]
pub(super) struct Board {
    last: AtomicU64,
    feeds: Mutex<Feeds>,
    lanes: Mutex<HashMap<LaneName, LaneNotes>>,
}

#[derive(Debug, Default)]
struct Feeds {
    open: FxHashMap<u64, OpenFeed>,
    gone: VecDeque<(u64, LaneName)>,
}

/// What is known of a lane whoever feeds it.
#[derive(Debug, Default)]
struct LaneNotes {
    /// The prefetch that suits the size of its messages.
    fits: Option<u16>,
    latest: Option<Arc<FeedState>>,
    counts: CallCounts,
}

impl Board {
    /// A number that no feed of this process has had.
    pub(super) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn add(&self, number: u64, feed: OpenFeed) {
        self.note(&feed.lane, |notes| notes.latest = Some(Arc::clone(&feed.state)));
        lock(&self.feeds).open.insert(number, feed);
    }

    pub(super) fn remove(&self, number: u64) {
        let mut feeds = lock(&self.feeds);
        if let Some(feed) = feeds.open.remove(&number) {
            feeds.gone.push_back((number, feed.lane));
            if feeds.gone.len() > REMEMBERED {
                feeds.gone.pop_front();
            }
        }
    }

    /// A feed by its number; the lane it had where it is gone, if that is still known.
    pub(super) fn feed(&self, number: u64) -> Result<OpenFeed, Option<LaneName>> {
        let feeds = lock(&self.feeds);
        let gone = || feeds.gone.iter().find(|(gone, _)| *gone == number).map(|(_, lane)| lane.clone());
        feeds.open.get(&number).cloned().ok_or_else(gone)
    }

    fn note<T>(&self, lane: &LaneName, change: impl FnOnce(&mut LaneNotes) -> T) -> T {
        change(lock(&self.lanes).entry(lane.clone()).or_default())
    }

    /// The messages of a lane are large: so many of them fit.
    pub(super) fn narrow(&self, lane: &LaneName, fits: u16) {
        self.note(lane, |notes| notes.fits = Some(fits));
    }

    /// The size of the messages of a lane is not known any more.
    pub(super) fn widen(&self, lane: &LaneName) {
        self.note(lane, |notes| notes.fits = None);
    }

    /// The prefetch that suits the size of a lane's messages, where that is known.
    pub(super) fn fits(&self, lane: &LaneName) -> Option<u16> {
        lock(&self.lanes).get(lane)?.fits
    }

    pub(super) fn count(&self, lane: &LaneName, more: CallCounts) {
        self.note(lane, |notes| {
            notes.counts.calls += more.calls;
            notes.counts.throttled += more.throttled;
            notes.counts.retries += more.retries;
        });
    }

    /// Calls made on a lane by this process.
    pub(super) fn counts(&self, lane: &LaneName) -> CallCounts {
        lock(&self.lanes).get(lane).map(|notes| notes.counts).unwrap_or_default()
    }

    /// What a lane holds; nothing where it was never opened.
    pub(super) fn held(&self, lane: &LaneName) -> Option<LaneHeld> {
        let latest = lock(&self.lanes).get(lane)?.latest.clone()?;
        Some(latest.held())
    }
}

/// What a feed and its keeper tell each other and everybody else.
#[derive(Debug, Default)]
pub(super) struct FeedState {
    lost: OnceLock<String>,
    wanted: OnceLock<&'static str>,
    /// Of the lane's two queues: all its jobs, and urgent ones.
    held: Mutex<[LaneHeld; 2]>,
    traces: Mutex<FxHashMap<u64, Trace>>,
}

impl FeedState {
    /// The lane is not ours any more: the first reason stays.
    pub(super) fn lose(&self, why: &str) {
        let _ = self.lost.set(why.to_owned());
        *lock(&self.held) = Default::default();
    }

    /// Why the lane is not ours any more.
    pub(super) fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// The lane should be opened again; the first reason stays.
    pub(super) fn want(&self, why: &'static str) {
        let _ = self.wanted.set(why);
    }

    /// Why the lane should be opened again.
    pub(super) fn wanted(&self) -> Option<&'static str> {
        self.wanted.get().copied()
    }

    /// What is held of the queue that urgent jobs have, or of the other one.
    pub(super) fn tell(&self, urgent: bool, load: Load, oldest: Option<Duration>, is_active: bool) {
        let Load { messages, bytes, prefetch } = load;
        if let Some(held) = lock(&self.held).get_mut(usize::from(urgent)) {
            *held = LaneHeld { messages, bytes, prefetch, oldest, is_active };
        }
    }

    /// What the lane holds. How much it may hold and whether it is ours is what the queue of all its jobs says.
    pub(super) fn held(&self) -> LaneHeld {
        let [main, urgent] = *lock(&self.held);
        LaneHeld {
            messages: main.messages + urgent.messages,
            bytes: main.bytes + urgent.bytes,
            oldest: main.oldest.max(urgent.oldest),
            ..main
        }
    }

    /// The trace context of a message, for the documents about it.
    pub(super) fn remember_trace(&self, number: u64, trace: &Trace) {
        lock(&self.traces).insert(number, trace.clone());
    }

    pub(super) fn trace(&self, number: u64) -> Option<Trace> {
        lock(&self.traces).get(&number).cloned()
    }

    pub(super) fn forget_traces(&self, numbers: &[u64]) {
        let mut traces = lock(&self.traces);
        if !traces.is_empty() {
            for number in numbers {
                traces.remove(number);
            }
        }
    }
}

/// Nothing is ever left half done under these locks, so what a panic left behind is good.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> LaneName {
        LaneName::new(name).unwrap()
    }

    #[test]
    fn the_lane_of_a_feed_is_known_for_a_while_after_its_end() {
        let board = Board::default();
        let (acks, _) = mpsc::channel(1);
        let open = |lane| OpenFeed { lane, acks: acks.clone(), state: Arc::default() };
        let number = board.number();
        board.add(number, open(lane("a")));
        assert_eq!(board.feed(number).unwrap().lane, lane("a"));
        board.remove(number);
        assert_eq!(board.feed(number).unwrap_err(), Some(lane("a")));
        for _ in 0..REMEMBERED {
            let other = board.number();
            board.add(other, open(lane("b")));
            board.remove(other);
        }
        assert_eq!(board.feed(number).unwrap_err(), None);
    }

    #[test]
    fn what_a_lane_needs_is_known_whoever_feeds_it() {
        let board = Board::default();
        assert_eq!((board.fits(&lane("a")), board.held(&lane("a"))), (None, None));
        board.narrow(&lane("a"), 7);
        assert_eq!((board.fits(&lane("a")), board.fits(&lane("b"))), (Some(7), None));
        board.widen(&lane("a"));
        assert_eq!(board.fits(&lane("a")), None);
        let more = CallCounts { calls: 2, throttled: 1, retries: 0 };
        board.count(&lane("a"), more);
        board.count(&lane("a"), more);
        assert_eq!(board.counts(&lane("a")), CallCounts { calls: 4, throttled: 2, retries: 0 });
    }
}
