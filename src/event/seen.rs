//! Which events were taken already: a window in time, bounded in memory, that forgets what could not be handed on.

use jiff::Timestamp;
use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};
use std::{collections::VecDeque, time::Duration};

/// Events remembered at most, about 60 bytes each. Beyond it the oldest is forgotten, whatever its age.
const MOST: usize = 500_000;

/// How an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is new, and somebody is working on it now: [`Seen::done`] or [`Seen::forget`] has to follow.
    Fresh,
    /// Somebody is working on it; whether it is safe is not known yet.
    InProgress,
    /// It was taken.
    Known,
}

/// Events by source and id.
#[derive(Debug)]
pub struct Seen {
    window: Duration,
    most: usize,
    /// When it was begun, and whether it is done.
    known: FxHashMap<u128, (Timestamp, bool)>,
    /// As they were begun; what was forgotten stays here until it is old.
    order: VecDeque<(Timestamp, u128)>,
}

impl Seen {
    /// Remembers each event for so long.
    pub fn new(window: Duration) -> Self {
        Self { window, most: MOST, known: FxHashMap::default(), order: VecDeque::new() }
    }

    /// Begins to work on an event.
    pub fn begin(&mut self, source: &str, id: &str, now: Timestamp) -> Standing {
        self.age(now);
        let key = key(source, id);
        match self.known.get(&key) {
            Some((_, true)) => Standing::Known,
            Some((_, false)) => Standing::InProgress,
            None => {
                self.known.insert(key, (now, false));
                self.order.push_back((now, key));
                Standing::Fresh
            }
        }
    }

    /// It is safe: whoever sends it again is told so.
    pub fn done(&mut self, source: &str, id: &str) {
        if let Some((_, done)) = self.known.get_mut(&key(source, id)) {
            *done = true;
        }
    }

    /// It could not be handed on: whoever sends it again is heard.
    pub fn forget(&mut self, source: &str, id: &str) {
        let key = key(source, id);
        // What is done stays done.
        if matches!(self.known.get(&key), Some((_, false))) {
            self.known.remove(&key);
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn age(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.order.front().copied() {
            let age = Duration::try_from(now.duration_since(at)).unwrap_or_default();
            if age < self.window && self.order.len() < self.most {
                break;
            }
            self.order.pop_front();
            // It may have been forgotten and begun again since.
            if self.known.get(&key).is_some_and(|(begun, _)| *begun == at) {
                self.known.remove(&key);
            }
        }
    }
}

fn key(source: &str, id: &str) -> u128 {
    let mut hash = Sha256::new();
    // The length keeps "ab" + "c" apart from "a" + "bc".
    hash.update((source.len() as u64).to_be_bytes());
    hash.update(source);
    hash.update(id);
    hash.finalize().iter().take(16).fold(0, |key, byte| (key << 8) | u128::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn an_event_is_fresh_once_and_known_when_it_is_safe() {
        let mut seen = Seen::new(Duration::from_mins(1));
        assert_eq!(seen.begin("s", "1", at(0)), Standing::Fresh);
        assert_eq!(seen.begin("s", "1", at(1)), Standing::InProgress);
        seen.done("s", "1");
        assert_eq!(seen.begin("s", "1", at(2)), Standing::Known);
        assert_eq!(seen.begin("s2", "1", at(2)), Standing::Fresh, "an id is the source's own");
        assert_eq!(seen.begin("s", "21", at(2)), Standing::Fresh);
    }

    #[test]
    fn what_could_not_be_handed_on_is_heard_again_and_what_was_is_not() {
        let mut seen = Seen::new(Duration::from_mins(1));
        seen.begin("s", "1", at(0));
        seen.forget("s", "1");
        assert_eq!(seen.begin("s", "1", at(1)), Standing::Fresh);
        seen.done("s", "1");
        seen.forget("s", "1");
        assert_eq!(seen.begin("s", "1", at(2)), Standing::Known);
    }

    #[test]
    fn memory_is_bounded_by_time_and_by_number() {
        let mut seen = Seen { most: 10, ..Seen::new(Duration::from_mins(1)) };
        for n in 0..100 {
            seen.begin("s", &n.to_string(), at(0));
            seen.done("s", &n.to_string());
        }
        assert_eq!((seen.len(), seen.order.len()), (10, 10));
        assert_eq!(seen.begin("s", "99", at(59)), Standing::Known);
        assert_eq!(seen.begin("s", "99", at(60)), Standing::Fresh, "the window is over");
        assert_eq!(seen.len(), 1);
    }
}
