//! When this process was last free to call for a lane, and so whether somebody else may have called since.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The memory of one lane's owners in this process; it outlives each of them, as the provider does.
///
/// Whoever takes a lane over stays away from the cloud for as long as a read may lag behind a write of the owner before,
/// unless it was the owner before: what it wrote itself the provider remembers. A broker may hand a lane to somebody else
/// and back without a word, but whoever had it in between stayed away too. So within that time nobody has called since
/// we were last free to, and half of it leaves room for an owner that learned late that the lane had been lost.
#[derive(Debug, Default)]
pub(super) struct Tenure(Mutex<Option<Instant>>);

impl Tenure {
    /// The lane is ours at `now`, and calls may leave.
    pub(super) fn is_free(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// How long a new owner stays away where a read may lag so long as `settles`. `last_owner` is how long ago another
    /// process may have worked on the lane, where the broker knows.
    pub(super) fn wait(&self, settles: Duration, last_owner: Option<Duration>, now: Instant) -> Duration {
        let free = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_some_and(|at| now.saturating_duration_since(at) < settles / 2) {
            return Duration::ZERO;
        }
        settles.saturating_sub(last_owner.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::clock;

    const SETTLES: Duration = Duration::from_mins(1);

    #[test]
    fn a_first_owner_waits_for_what_the_broker_cannot_rule_out() {
        let (tenure, now) = (Tenure::default(), clock::monotonic());
        assert_eq!(tenure.wait(SETTLES, None, now), SETTLES);
        assert_eq!(tenure.wait(SETTLES, Some(Duration::from_secs(20)), now), Duration::from_secs(40));
        assert_eq!(tenure.wait(SETTLES, Some(Duration::MAX), now), Duration::ZERO);
        assert_eq!(tenure.wait(Duration::ZERO, None, now), Duration::ZERO, "other APIs wait for nobody");
    }

    #[test]
    fn who_was_the_owner_a_moment_ago_does_not_wait_for_itself() {
        let (tenure, now) = (Tenure::default(), clock::monotonic());
        tenure.is_free(now);
        assert_eq!(tenure.wait(SETTLES, None, now + Duration::from_secs(29)), Duration::ZERO);
    }

    #[test]
    fn who_was_away_long_enough_for_another_to_have_written_waits() {
        let (tenure, now) = (Tenure::default(), clock::monotonic());
        tenure.is_free(now);
        assert_eq!(tenure.wait(SETTLES, None, now + Duration::from_secs(30)), SETTLES);
    }
}
