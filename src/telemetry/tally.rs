//! What a lane adds up to in this process: counted where it happens, read when Prometheus asks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What an answer to a call is.
pub const RESULTS: [&str; 8] = ["ok", "partial", "followup", "throttled", "transient", "auth", "denied", "rejected"];
/// Why an item is dead.
pub const REASONS: [&str; 7] = ["rejected", "denied", "auth", "transient", "cancelled", "invalid", "other"];

/// The reason of what was never sent, and of what was no job.
const INVALID: &str = "invalid";

/// Seconds that a call takes.
pub const CALL_SECONDS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Resources of a call.
pub const CALL_RESOURCES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0];
/// Seconds from an event to its tag.
pub const EVENT_SECONDS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Seconds from a job's publishing to its end.
pub const JOB_SECONDS: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

/// Values by how large they were: a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    bounds: &'static [f64],
    /// How many are within each bound and above the one before; the last are above all.
    within: Vec<u64>,
    sum: f64,
}

impl Spread {
    /// Nothing yet.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, within: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// One more value; what is below nought, as when clocks differ, counts as nought.
    pub fn add(&mut self, value: f64) {
        let value = value.max(0.0);
        let at = self.bounds.iter().position(|bound| value <= *bound).unwrap_or(self.bounds.len());
        if let Some(count) = self.within.get_mut(at) {
            *count += 1;
        }
        self.sum += value;
    }

    /// Both together, of the same bounds.
    pub fn join(&mut self, other: &Self) {
        for (count, more) in self.within.iter_mut().zip(&other.within) {
            *count += more;
        }
        self.sum += other.sum;
    }

    /// The lines of a series in the text format of Prometheus. `label` is a name and a value.
    pub(super) fn lines(&self, name: &str, (label, value): (&str, &str), into: &mut String) {
        use std::fmt::Write as _;
        let mut count = 0;
        for (at, more) in self.within.iter().enumerate() {
            count += more;
            let bound = self.bounds.get(at).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            // A string can always be written to.
            let _ = writeln!(into, "{name}_bucket{{{label}=\"{value}\",le=\"{bound}\"}} {count}");
        }
        let _ = writeln!(into, "{name}_sum{{{label}=\"{value}\"}} {}", self.sum);
        let _ = writeln!(into, "{name}_count{{{label}=\"{value}\"}} {count}");
    }
}

/// The counts of a lane. They only grow, as long as the process lives.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Items tagged, unchanged, dead.
    pub items: [u64; 3],
    /// Of those that are dead, in the order of [`REASONS`].
    pub reasons: [u64; REASONS.len()],
    /// Answers, in the order of [`RESULTS`].
    pub results: [u64; RESULTS.len()],
    /// Jobs that were taken on.
    pub jobs: u64,
    /// Items whose value a later job replaced.
    pub superseded: u64,
    /// Calls answered with a throttle.
    pub throttled: u64,
    /// Calls sent again.
    pub retries: u64,
    /// Calls that jobs would have made alone, less those they made together.
    pub saved: u64,
    /// How long calls that were ready waited for the rate limit.
    pub limited_seconds: f64,
}

impl Counts {
    /// Both together.
    pub fn join(&mut self, other: &Self) {
        fn all<const N: usize>(counts: &mut [u64; N], more: [u64; N]) {
            counts.iter_mut().zip(more).for_each(|(count, more)| *count += more);
        }
        all(&mut self.items, other.items);
        all(&mut self.reasons, other.reasons);
        all(&mut self.results, other.results);
        self.jobs += other.jobs;
        self.superseded += other.superseded;
        self.throttled += other.throttled;
        self.retries += other.retries;
        self.saved += other.saved;
        self.limited_seconds += other.limited_seconds;
    }
}

/// The histograms of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Spreads {
    /// How long calls took.
    pub call_seconds: Spread,
    /// How full they were.
    pub call_resources: Spread,
    /// From events to their receipts.
    pub event_seconds: Spread,
    /// From publishing to the end of a job.
    pub job_seconds: Spread,
}

impl Default for Spreads {
    fn default() -> Self {
        Self {
            call_seconds: Spread::new(CALL_SECONDS),
            call_resources: Spread::new(CALL_RESOURCES),
            event_seconds: Spread::new(EVENT_SECONDS),
            job_seconds: Spread::new(JOB_SECONDS),
        }
    }
}

impl Spreads {
    /// Both together.
    pub fn join(&mut self, other: &Self) {
        self.call_seconds.join(&other.call_seconds);
        self.call_resources.join(&other.call_resources);
        self.event_seconds.join(&other.event_seconds);
        self.job_seconds.join(&other.job_seconds);
    }
}

/// The numbers of a lane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// What only grows.
    pub counts: Counts,
    /// Messages that were no job: each is a dead item beside those of the lane's machine.
    raw: u64,
    /// What was measured.
    pub spreads: Spreads,
    /// When the credential ends, in seconds since 1970; 0 where it does not, or nobody knows.
    pub credential_ends: f64,
    /// When something was last tagged, or right already, in seconds since 1970; 0 for never.
    pub last_success: f64,
}

/// The numbers of a lane, shared by all who work on it and by who reads them.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counted>);

/// Two are the same when they are one: a view of a lane compares whether it is of the same lane.
impl PartialEq for Tally {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Tally {
    /// The numbers, to be changed or read. Hold it for a moment only.
    pub fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more answer; the result is one of [`RESULTS`].
    pub fn answer(&self, result: &str) {
        let Some(at) = RESULTS.iter().position(|known| *known == result) else { return };
        if let Some(count) = self.counted().counts.results.get_mut(at) {
            *count += 1;
        }
    }

    /// A message that was no job: an item that is dead without ever having been a lane's.
    pub fn raw(&self) {
        let mut counted = self.counted();
        counted.raw += 1;
        let Counts { items: [.., dead], reasons, .. } = &mut counted.counts;
        *dead += 1;
        for (count, _) in reasons.iter_mut().zip(REASONS).filter(|(_, reason)| *reason == INVALID) {
            *count += 1;
        }
    }

    /// Takes over what a lane's machine says it has done so far; what is not its own stays.
    pub fn done(&self, items: [u64; 3], reasons: [u64; REASONS.len()], and: impl FnOnce(&mut Counts)) {
        let mut counted = self.counted();
        let raw = counted.raw;
        let [tagged, unchanged, dead] = items;
        counted.counts.items = [tagged, unchanged, dead + raw];
        counted.counts.reasons = reasons;
        for (count, _) in counted.counts.reasons.iter_mut().zip(REASONS).filter(|(_, reason)| *reason == INVALID) {
            *count += raw;
        }
        and(&mut counted.counts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_tells_buckets_that_hold_all_below_them() {
        let mut spread = Spread::new(&[1.0, 2.5]);
        for value in [0.5, 1.0, 2.0, 9.0, -1.0] {
            spread.add(value);
        }
        let mut other = Spread::new(&[1.0, 2.5]);
        other.add(2.0);
        spread.join(&other);
        let mut text = String::new();
        spread.lines("x", ("provider", "p"), &mut text);
        let expected = "x_bucket{provider=\"p\",le=\"1\"} 3\nx_bucket{provider=\"p\",le=\"2.5\"} 5\n\
                        x_bucket{provider=\"p\",le=\"+Inf\"} 6\nx_sum{provider=\"p\"} 14.5\nx_count{provider=\"p\"} 6\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_counted_is_counted_under_its_name() {
        let tally = Tally::default();
        tally.answer("throttled");
        tally.answer("no such result");
        tally.done([5, 0, 2], [0, 2, 0, 0, 0, 0, 0], |counts| counts.retries = 4);
        assert_eq!(tally.counted().counts.results, [0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(tally.counted().counts.retries, 4);
    }

    #[test]
    fn a_message_that_is_no_job_is_one_dead_item_and_its_reason() {
        let tally = Tally::default();
        tally.raw();
        tally.done([5, 0, 2], [0, 2, 0, 0, 0, 0, 0], |_| {});
        tally.raw();
        let counts = tally.counted().counts;
        assert_eq!(counts.items, [5, 0, 4]);
        assert_eq!(counts.reasons, [0, 2, 0, 0, 0, 2, 0]);
    }
}
