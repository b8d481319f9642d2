//! What a lane remembers of its buckets between calls: where they are, and what it did to them a moment ago.
//!
//! Bucket configuration is eventually consistent: a read right after a write may show the set before it, and writing
//! from such a read would undo the write. So what a call did is remembered for a minute, and a read that does not show
//! it is stale. The memory belongs to the provider of one lane, which has one worker; it holds what the lane touched in
//! the last two minutes, and nothing of it survives a restart (a lane that takes over waits a minute before it writes).

use super::set::TagSet;
use jiff::Timestamp;
use rustc_hash::{FxHashMap, FxHashSet};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// So long a read may be behind a write.
pub(super) const STALE_AT_MOST: Duration = Duration::from_mins(1);

/// More learned places than this are forgotten, all at once: they can be learned again.
const PLACES_AT_MOST: usize = 100_000;

/// A key and what a call made of it: a value, or gone.
pub(super) type Change<'a> = (&'a str, Option<&'a str>);

/// How far a write has come that no answer has been given for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unreported {
    /// There is none.
    #[default]
    Nothing,
    /// It left, and no reply has come.
    Sent,
    /// It succeeded, and has not been seen in a read yet.
    Written,
}

#[derive(Default)]
struct Bucket {
    /// When the last request left.
    asked: Timestamp,
    /// What the calls of the last minute did, by key.
    done: FxHashMap<Box<str>, (Option<Box<str>>, Timestamp)>,
    unreported: Unreported,
}

#[derive(Default)]
struct Known {
    regions: FxHashMap<Box<str>, Box<str>>,
    /// Buckets whose tags are written through S3 Control.
    controlled: FxHashSet<Box<str>>,
    buckets: FxHashMap<Box<str>, Bucket>,
    sweep_at: usize,
    account: Option<Box<str>>,
}

/// The memory of one lane.
#[derive(Default)]
pub(super) struct Memory(Mutex<Known>);

/// It holds tag values: debug output shows none of them.
impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} buckets)", self.known().buckets.len())
    }
}

impl Memory {
    /// A panic elsewhere cannot leave the memory half-written.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request for a bucket leaves. What is older than a minute is forgotten: every read shows it by now.
    pub(super) fn asks(&self, bucket: &str, now: Timestamp) {
        let mut known = self.known();
        if known.buckets.len() >= known.sweep_at {
            known.buckets.retain(|_, bucket| age(now, bucket.asked) < STALE_AT_MOST * 2);
            known.sweep_at = (known.buckets.len() * 2).max(1024);
        }
        let bucket = known.buckets.entry(bucket.into()).or_default();
        bucket.asked = now;
        bucket.done.retain(|_, (_, at)| age(now, *at) < STALE_AT_MOST);
    }

    /// A write of the bucket leaves.
    pub(super) fn writes(&self, bucket: &str) {
        if let Some(bucket) = self.known().buckets.get_mut(bucket) {
            bucket.unreported = Unreported::Sent;
        }
    }

    /// How far the last write has come.
    pub(super) fn unreported(&self, bucket: &str) -> Unreported {
        self.known().buckets.get(bucket).map_or(Unreported::Nothing, |bucket| bucket.unreported)
    }

    /// The bucket holds these changes now: a write has succeeded, or a read shows them. `reported` says whether the call
    /// is answered with it.
    pub(super) fn holds<'a>(&self, bucket: &str, changes: impl Iterator<Item = Change<'a>>, reported: bool) {
        let mut known = self.known();
        let Some(bucket) = known.buckets.get_mut(bucket) else { return };
        bucket.unreported = if reported { Unreported::Nothing } else { Unreported::Written };
        let at = bucket.asked;
        bucket.done.extend(changes.map(|(key, value)| (key.into(), (value.map(Into::into), at))));
    }

    /// The write that was not reported is given up.
    pub(super) fn gives_up(&self, bucket: &str) {
        if let Some(bucket) = self.known().buckets.get_mut(bucket) {
            bucket.unreported = Unreported::Nothing;
        }
    }

    /// Whether a read shows all that was done to the bucket in the last minute.
    pub(super) fn is_shown(&self, bucket: &str, set: &TagSet) -> bool {
        let known = self.known();
        let Some(bucket) = known.buckets.get(bucket) else { return true };
        bucket.done.iter().all(|(key, (value, _))| set.get(&**key).map(String::as_str) == value.as_deref())
    }

    /// The region of a bucket, where it is not the lane's.
    pub(super) fn region(&self, bucket: &str) -> Option<String> {
        self.known().regions.get(bucket).map(ToString::to_string)
    }

    /// A reply has named the bucket's region.
    pub(super) fn learn_region(&self, bucket: &str, region: &str) {
        let mut known = self.known();
        if known.regions.len() >= PLACES_AT_MOST {
            known.regions.clear();
        }
        known.regions.insert(bucket.into(), region.into());
    }

    /// Whether the bucket's tags are written through S3 Control.
    pub(super) fn is_controlled(&self, bucket: &str) -> bool {
        self.known().controlled.contains(bucket)
    }

    /// S3 Control took what the bucket refused.
    pub(super) fn learn_controlled(&self, bucket: &str) {
        let mut known = self.known();
        if known.controlled.len() >= PLACES_AT_MOST {
            known.controlled.clear();
        }
        known.controlled.insert(bucket.into());
    }

    /// The account of the credential, for S3 Control.
    pub(super) fn account(&self) -> Option<String> {
        self.known().account.as_deref().map(str::to_owned)
    }

    /// A credential that knows its account was used.
    pub(super) fn learn_account(&self, account: &str) {
        let mut known = self.known();
        if known.account.as_deref() != Some(account) {
            known.account = Some(account.into());
        }
    }
}

/// How long ago something was. A clock that was set back makes it new.
fn age(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).expect("a time")
    }

    fn set(pairs: &[(&str, &str)]) -> TagSet {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_was_done_must_be_shown_for_a_minute() {
        let memory = Memory::default();
        memory.asks("b", at(0));
        memory.holds("b", [("env", Some("prod")), ("old", None)].into_iter(), true);
        memory.asks("b", at(59));
        assert!(memory.is_shown("b", &set(&[("env", "prod"), ("other", "x")])));
        assert!(!memory.is_shown("b", &set(&[("env", "dev")])), "another value");
        assert!(!memory.is_shown("b", &set(&[])), "not there");
        assert!(!memory.is_shown("b", &set(&[("env", "prod"), ("old", "x")])), "not gone");
        assert!(memory.is_shown("other", &set(&[])));
        memory.asks("b", at(60));
        assert!(memory.is_shown("b", &set(&[])));
    }

    #[test]
    fn every_change_of_the_minute_counts_not_only_the_last() {
        let memory = Memory::default();
        for (second, changes) in
            [(0, [("a", "1"), ("b", "1")]), (1, [("a", "2"), ("c", "1")]), (2, [("a", "1"), ("d", "1")])]
        {
            memory.asks("b", at(second));
            memory.holds("b", changes.into_iter().map(|(key, value)| (key, Some(value))), true);
        }
        // A read from the first second has the latest value of `a` by accident.
        assert!(!memory.is_shown("b", &set(&[("a", "1"), ("b", "1")])));
        assert!(memory.is_shown("b", &set(&[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])));
    }

    #[test]
    fn buckets_that_were_not_touched_for_long_are_forgotten() {
        let memory = Memory::default();
        for n in 0..5_000 {
            memory.asks(&format!("b{n}"), at(n));
        }
        assert!(memory.known().buckets.len() < 3_000, "{memory:?}");
    }

    #[test]
    fn debug_output_shows_no_value() {
        let memory = Memory::default();
        memory.asks("b", at(0));
        memory.holds("b", [("owner", Some("alice"))].into_iter(), true);
        assert_eq!(format!("{memory:?}"), "Memory(1 buckets)");
    }
}
