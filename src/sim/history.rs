//! What resources looked like a moment ago, for reads that are behind the writes.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// No read is further behind.
const LONGEST: Duration = Duration::from_mins(1);

/// The tags of a resource.
pub(super) type Tags = Vec<(String, String)>;

/// The states that the writes of the last minute ended.
#[derive(Debug, Default)]
pub(super) struct History {
    ended: HashMap<String, VecDeque<(Instant, Tags)>>,
}

impl History {
    /// A write is about to end this state of a resource.
    pub(super) fn note<'t>(&mut self, key: &str, now: Instant, tags: impl Iterator<Item = (&'t str, &'t str)>) {
        let states = self.ended.entry(key.to_owned()).or_default();
        while states.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > LONGEST) {
            states.pop_front();
        }
        states.push_back((now, tags.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()));
    }

    /// The state of so long ago; none when no write has come since.
    pub(super) fn before(&self, key: &str, now: Instant, behind: Duration) -> Option<Tags> {
        let states = self.ended.get(key)?;
        let since = |at: &Instant| now.saturating_duration_since(*at) < behind;
        states.iter().find(|(at, _)| since(at)).map(|(_, tags)| tags.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::clock;

    #[test]
    fn a_read_shows_the_state_of_its_time() {
        let start = clock::monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut history = History::default();
        history.note("b", at(10), [("a", "1")].into_iter());
        history.note("b", at(20), [("a", "2")].into_iter());
        let seen = |now, behind| {
            let tags = history.before("b", at(now), Duration::from_secs(behind));
            tags.map(|tags| tags[0].1.clone())
        };
        assert_eq!((seen(21, 15).as_deref(), seen(21, 5).as_deref()), (Some("1"), Some("2")));
        assert_eq!((seen(30, 5), seen(21, 0)), (None, None));
        assert_eq!(history.before("c", at(21), LONGEST), None);
    }
}
