//! How long to wait before a retry, and how many retries the lane can afford.

use super::event::Now;
use crate::call::Failure;
use backoff::{BackoffBuilder, ExponentialBuilder};
use std::time::Duration;

/// First and longest wait after an ordinary failure.
const ORDINARY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_mins(1));
/// First and longest wait for a resource that is not in the right state: it changes in minutes.
const STATE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(1));
/// First and longest wait between probes of an outage, and after a throttle without a hint.
const PROBE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// First and longest wait for a resource that does not exist yet: most appear within seconds.
const MISSING: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(1));
/// Waits asked for by a cloud are honoured up to here.
pub const HINT_AT_MOST: Duration = Duration::from_mins(10);

/// The wait a failure asks for.
pub fn hint(failure: &Failure) -> Duration {
    failure.retry_after.unwrap_or_default().min(HINT_AT_MOST)
}

/// Which series of waits applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// A call failed.
    Ordinary,
    /// A resource is not ready.
    State,
    /// A resource does not exist yet.
    Missing,
    /// The API is away, or asks for less.
    Probe,
}

/// The wait before try number `tries` (1 is the first retry): full jitter under an exponential bound.
///
/// Probes and throttles wait at least half the bound: there the wait protects the cloud, not just the crowd.
pub fn wait(series: Series, tries: u32, rng: &mut fastrand::Rng) -> Duration {
    let (least, most) = match series {
        Series::Ordinary => ORDINARY,
        Series::State => STATE,
        Series::Missing => MISSING,
        Series::Probe => PROBE,
    };
    let bounds = ExponentialBuilder::default()
        .with_factor(2.0)
        .with_min_delay(least)
        .with_max_delay(most)
        .without_max_times()
        .build();
    let bound = bounds.into_iter().nth(tries.saturating_sub(1).min(16) as usize).unwrap_or(most);
    let floor = if series == Series::Ordinary { 0.0 } else { 0.5 };
    bound.mul_f64(floor + (1.0 - floor) * rng.f64())
}

/// A store of retries that successes fill and retries empty: bad luck passes, a flood of failures does not become a
/// flood of retries. When it is empty, at most every second call is a retry.
#[derive(Debug)]
pub struct Budget {
    tokens: f64,
    next_at: Now,
}

/// Retries in store at most, and at the start.
const STORE: f64 = 100.0;
/// What a success adds.
const REFILL: f64 = 0.5;

impl Default for Budget {
    fn default() -> Self {
        Self { tokens: STORE, next_at: Now::ZERO }
    }
}

impl Budget {
    /// A call succeeded.
    pub fn earn(&mut self) {
        self.tokens = (self.tokens + REFILL).min(STORE);
    }

    /// From when on a retry may leave.
    pub fn allowed_at(&self) -> Now {
        if self.tokens >= 1.0 { Now::ZERO } else { self.next_at }
    }

    /// A retry leaves, while calls leave `gap` apart.
    pub fn spend(&mut self, now: Now, gap: Duration) {
        self.tokens = (self.tokens - 1.0).max(0.0);
        self.next_at = now + gap * 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_stay_under_their_bound_and_depend_on_the_seed_alone() {
        let draw = |seed| {
            let mut rng = fastrand::Rng::with_seed(seed);
            (1..=12).map(|tries| wait(Series::Ordinary, tries, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        for (n, wait) in draw(7).into_iter().enumerate() {
            assert!(wait <= Duration::from_millis(500) * 2_u32.pow(n as u32), "try {n}");
            assert!(wait <= Duration::from_mins(1));
        }
        let mut rng = fastrand::Rng::with_seed(1);
        assert!((1..40).all(|tries| wait(Series::Probe, tries, &mut rng) >= Duration::from_millis(500)));
    }

    #[test]
    fn an_empty_budget_leaves_every_second_call_to_fresh_work_and_never_stops_retries() {
        let mut budget = Budget::default();
        let gap = Duration::from_millis(100);
        for _ in 0..100 {
            assert_eq!(budget.allowed_at(), Now::ZERO);
            budget.spend(Now::from_secs(5), gap);
        }
        assert_eq!(budget.allowed_at(), Now::from_millis(5_200));
        budget.earn();
        budget.earn();
        assert_eq!(budget.allowed_at(), Now::ZERO);
    }
}
