//! When a lane will be empty, from how its backlog has shrunk between looks: at this pace, with what comes in counted.

use super::look::Snapshot;
use crate::job::LaneName;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Looks closer together than that say nothing of a pace.
const CLOSEST: Duration = Duration::from_secs(5);
/// Older looks are of another time.
const OLDEST: Duration = Duration::from_mins(5);
/// Between looks that are kept.
const SPARSE: Duration = Duration::from_secs(2);
/// Beyond a month it is a guess.
const FARTHEST: f64 = 30.0 * 86_400.0;

/// Messages of one lane that were not done, at a time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    left: u64,
}

/// What was seen of each lane lately.
#[derive(Debug, Default)]
pub struct Pace {
    lanes: BTreeMap<LaneName, VecDeque<Sample>>,
}

impl Pace {
    /// Remembers a look that was taken at `at` on a clock that never goes back, and writes into it what is known by now.
    pub fn observe(&mut self, snapshot: &mut Snapshot, at: Duration) {
        self.lanes.retain(|name, _| snapshot.lanes.iter().any(|lane| lane.name == *name));
        for lane in &mut snapshot.lanes {
            // A paused lane has no pace, and one that nobody answers for may hold any number.
            let (Some(queue), Some((_, report)), None) = (lane.queue, &lane.owner, lane.paused_since) else {
                self.lanes.remove(&lane.name);
                continue;
            };
            if report.paused.is_some() || report.outage {
                self.lanes.remove(&lane.name);
                continue;
            }
            let samples = self.lanes.entry(lane.name.clone()).or_default();
            lane.eta = told(samples, Sample { at, left: queue.ready.saturating_add(report.held) });
        }
    }
}

fn told(samples: &mut VecDeque<Sample>, now: Sample) -> Option<Duration> {
    while samples.front().is_some_and(|first| now.at.saturating_sub(first.at) > OLDEST) {
        samples.pop_front();
    }
    let first = samples.front().copied();
    if samples.back().is_none_or(|last| now.at.saturating_sub(last.at) >= SPARSE) {
        samples.push_back(now);
    }
    if now.left == 0 {
        return Some(Duration::ZERO);
    }
    let first = first?;
    let passed = now.at.saturating_sub(first.at);
    let done = first.left.checked_sub(now.left).filter(|done| *done > 0)?;
    if passed < CLOSEST {
        return None;
    }
    let seconds = now.left as f64 * passed.as_secs_f64() / done as f64;
    (seconds <= FARTHEST).then(|| Duration::from_secs(seconds.ceil() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seen: &[(u64, u64)]) -> Option<u64> {
        let mut samples = VecDeque::new();
        let mut last = None;
        for &(at, left) in seen {
            last = told(&mut samples, Sample { at: Duration::from_secs(at), left });
        }
        last.map(|eta| eta.as_secs())
    }

    #[test]
    fn what_was_done_in_ten_seconds_says_how_long_the_rest_takes() {
        assert_eq!(after(&[(0, 1000), (10, 900)]), Some(90));
        assert_eq!(after(&[(0, 1000), (5, 960), (10, 900)]), Some(90), "over all that is remembered");
    }

    #[test]
    fn an_empty_lane_is_there_already() {
        assert_eq!(after(&[(0, 0)]), Some(0));
    }

    #[test]
    fn one_look_two_close_together_and_a_backlog_that_stands_or_grows_say_nothing() {
        assert_eq!(after(&[(0, 1000)]), None);
        assert_eq!(after(&[(0, 1000), (4, 900)]), None);
        assert_eq!(after(&[(0, 1000), (10, 1000)]), None);
        assert_eq!(after(&[(0, 1000), (10, 1100)]), None);
    }

    #[test]
    fn what_is_older_than_five_minutes_no_longer_counts_and_a_month_is_a_guess() {
        assert_eq!(after(&[(0, 100_000), (299, 1000), (310, 890)]), Some(89));
        assert_eq!(after(&[(0, 10_000_000), (10, 9_999_999)]), None);
    }
}
