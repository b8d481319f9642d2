//! The rate limit of an account, and what its calls look like against it.

use super::config::Rate;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(1);

/// A token bucket whose level may be asked to go below zero.
#[derive(Debug)]
struct Level {
    tokens: f64,
    at: Option<Instant>,
}

impl Level {
    fn full(rate: &Rate) -> Self {
        Self { tokens: rate.burst, at: None }
    }

    /// Lets the bucket fill up to `now`. Calls on several connections may be seen a little out of order.
    fn refill(&mut self, rate: &Rate, now: Instant) {
        let since = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.tokens = (self.tokens + since.as_secs_f64() * rate.per_second).min(rate.burst);
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
    }
}

fn slack(rate: &Rate) -> f64 {
    rate.slack_ms / 1000.0 * rate.per_second + 1e-9
}

/// The limit that answers with a throttle. Only admitted calls use tokens.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    level: Level,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self { level: Level::full(&rate), rate }
    }

    /// Whether a call may pass now.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        self.level.refill(&self.rate, now);
        let fits = self.level.tokens - 1.0 >= -slack(&self.rate);
        if fits {
            self.level.tokens -= 1.0;
        }
        fits
    }
}

/// Counts every request, admitted or not: how many in any one second, and how far above `burst + t x rate` in any window.
///
/// The second number needs no history: a bucket that every request draws on falls below zero by exactly the excess
/// of the worst window that ends now.
#[derive(Debug)]
pub(super) struct Meter {
    rate: Option<Rate>,
    level: Level,
    recent: VecDeque<Instant>,
    /// The most requests in any window of one second.
    pub(super) peak: usize,
    /// The most requests above the limit in any window.
    pub(super) max_excess: f64,
    /// Requests that came when the limit was already used up, slack granted.
    pub(super) violations: u64,
}

impl Meter {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let level = rate.as_ref().map_or(Level { tokens: 0.0, at: None }, Level::full);
        Self { rate, level, recent: VecDeque::new(), peak: 0, max_excess: 0.0, violations: 0 }
    }

    pub(super) fn record(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|first| now.saturating_duration_since(*first) >= WINDOW) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.peak = self.peak.max(self.recent.len());
        if let Some(rate) = &self.rate {
            self.level.refill(rate, now);
            self.level.tokens -= 1.0;
            let excess = (-self.level.tokens).max(0.0);
            self.max_excess = self.max_excess.max(excess);
            if excess > slack(rate) {
                self.violations += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::clock;

    fn strict(per_second: f64, burst: f64) -> Rate {
        Rate { per_second, burst, slack_ms: 0.0 }
    }

    #[test]
    fn the_bucket_admits_its_burst_then_its_rate() {
        let start = clock::monotonic();
        let mut bucket = Bucket::new(strict(10.0, 3.0));
        let admitted = |bucket: &mut Bucket, ms| bucket.admit(start + Duration::from_millis(ms));
        assert_eq!((0..5).filter(|_| admitted(&mut bucket, 0)).count(), 3);
        assert!(!admitted(&mut bucket, 99));
        assert!(admitted(&mut bucket, 100));
        assert!(!admitted(&mut bucket, 199));
        assert_eq!((0..9).filter(|_| admitted(&mut bucket, 10_000)).count(), 3);
    }

    #[test]
    fn slack_forgives_calls_that_the_way_here_bunched_up() {
        let start = clock::monotonic();
        let mut bucket = Bucket::new(Rate { per_second: 10.0, burst: 1.0, slack_ms: 20.0 });
        assert!(bucket.admit(start));
        assert!(!bucket.admit(start + Duration::from_millis(79)));
        assert!(bucket.admit(start + Duration::from_millis(81)));
    }

    #[test]
    fn the_meter_finds_the_worst_window_and_the_excess_over_the_limit() {
        let start = clock::monotonic();
        let mut meter = Meter::new(Some(strict(2.0, 2.0)));
        for ms in [0, 0, 500, 1000, 1400, 1499, 1500, 9000] {
            meter.record(start + Duration::from_millis(ms));
        }
        // From 0 to 1500 ms the limit allows 2 + 3 calls, and 7 came.
        assert!((meter.max_excess - 2.0).abs() < 1e-6, "{}", meter.max_excess);
        assert_eq!(meter.violations, 3);
        assert_eq!(meter.peak, 4);
    }

    #[test]
    fn a_caller_who_keeps_the_limit_never_shows_an_excess() {
        let start = clock::monotonic();
        let mut meter = Meter::new(Some(strict(20.0, 4.0)));
        (0..4).for_each(|_| meter.record(start));
        (1..200).for_each(|n| meter.record(start + Duration::from_millis(50 * n)));
        assert!(meter.max_excess < 1e-6, "{}", meter.max_excess);
        assert_eq!(meter.violations, 0);
        assert_eq!(meter.peak, 23);
    }
}
