//! What operators want of the lanes: paused, resumed, cancelled. Level, not edge: whoever comes late reads the same.

use crate::job::{Job, JobId, LaneName};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The standing orders of a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Orders {
    /// Grows with every change.
    pub revision: u64,
    /// Every lane that a worker ever served: what is not in a config any more can still hold messages.
    pub lanes: BTreeSet<LaneName>,
    /// Lanes that make no calls, and since when.
    pub paused: BTreeMap<LaneName, Timestamp>,
    /// When a lane was last told to go on; that ends a pause of its own (a wrong key) too.
    pub resumed: BTreeMap<LaneName, Timestamp>,
    /// Work that must not be sent any more.
    pub cancelled: Vec<CancelOrder>,
}

/// Work that must not be sent any more: all that matches every field that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Only of this lane.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lane: Option<LaneName>,
    /// Only this job.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub job: Option<JobId>,
    /// Only of this batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch: Option<String>,
    /// When it was given: a replay that was made later is new work.
    pub at: Timestamp,
}

/// A cancel order is dropped after so long: whatever it spoke of has been dealt with or has left the queue.
const CANCEL_HOURS: i64 = 30 * 24;

impl Orders {
    /// Whether the job must not be sent any more.
    pub fn is_cancelled(&self, job: &Job) -> bool {
        self.cancelled.iter().any(|order| order.covers(job))
    }

    /// Lets a lane make no more calls. One that is paused already stays so since then.
    pub fn pause(&mut self, lane: &LaneName, now: Timestamp) {
        // Whoever resumed it may have had a clock that is ahead of ours.
        let after = self.resumed.get(lane).map_or(now, |resumed| now.max(just_after(*resumed)));
        self.paused.entry(lane.clone()).or_insert(after);
    }

    /// Lets a lane go on, and ends a pause of its own.
    pub fn resume(&mut self, lane: &LaneName, now: Timestamp) {
        let before = [self.paused.remove(lane), self.resumed.get(lane).copied()].into_iter().flatten().max();
        let after = before.map_or(now, |before| now.max(just_after(before)));
        self.resumed.insert(lane.clone(), after);
    }

    /// What both say. Two documents are there when a change broke off in the middle, or when two of them met; neither
    /// may take back what the other one ordered. What was removed stays removed: `resumed` is newer than the pause.
    pub fn merge(&mut self, other: Self) {
        self.revision = self.revision.max(other.revision);
        self.lanes.extend(other.lanes);
        for (lane, at) in other.resumed {
            let latest = self.resumed.entry(lane).or_insert(at);
            *latest = at.max(*latest);
        }
        for (lane, at) in other.paused {
            // The later of two pauses: the earlier one may have been ended by a `resumed` between them.
            let latest = self.paused.entry(lane).or_insert(at);
            *latest = at.max(*latest);
        }
        let resumed = &self.resumed;
        self.paused.retain(|lane, at| resumed.get(lane).is_none_or(|resumed| resumed < at));
        for order in other.cancelled {
            if !self.cancelled.contains(&order) {
                self.cancelled.push(order);
            }
        }
    }

    /// Drops cancel orders that are older than thirty days.
    pub fn drop_old(&mut self, now: Timestamp) {
        let kept = SignedDuration::from_hours(CANCEL_HOURS);
        self.cancelled.retain(|order| now.duration_since(order.at) <= kept);
    }
}

fn just_after(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(1)).unwrap_or(at)
}

impl CancelOrder {
    /// Whether it speaks of this job. A whole lane, and what has been replayed, is cancelled up to the order's time; a
    /// batch and a job are cancelled by name, because clocks differ.
    pub fn covers(&self, job: &Job) -> bool {
        let by_name = self.job.is_some() || self.batch.is_some();
        let is_older = job.extras.created_at.is_none_or(|created| created <= self.at);
        self.lane.as_ref().is_none_or(|lane| *lane == job.lane)
            && self.job.as_ref().is_none_or(|id| *id == job.id)
            && self.batch.as_deref().is_none_or(|batch| job.extras.batch.as_deref() == Some(batch))
            && (is_older || (by_name && job.extras.replay.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Extras, Replay, Resource};

    fn job(batch: &str, created: i64, replayed: bool) -> Job {
        let replay = replayed.then(|| Replay { of: "x".into(), count: 1 });
        Job {
            id: JobId::new("1").unwrap(),
            lane: LaneName::new("a").unwrap(),
            resources: vec![Resource::plain("r")],
            set: [("k".into(), "v".into())].into(),
            unset: [].into(),
            extras: Extras {
                batch: Some(batch.into()),
                created_at: Some(Timestamp::from_second(created).unwrap()),
                replay,
                ..Extras::none()
            },
        }
    }

    #[test]
    fn a_cancelled_batch_stays_cancelled_until_it_is_replayed() {
        let at = Timestamp::from_second(100).unwrap();
        let order = CancelOrder { lane: None, job: None, batch: Some("b".into()), at };
        let orders = Orders { cancelled: vec![order], ..Orders::default() };
        assert!(orders.is_cancelled(&job("b", 50, false)));
        assert!(orders.is_cancelled(&job("b", 105, false)), "the submitter's clock may be ahead");
        assert!(!orders.is_cancelled(&job("c", 50, false)));
        assert!(orders.is_cancelled(&job("b", 90, true)));
        assert!(!orders.is_cancelled(&job("b", 105, true)), "a replay made after the order is new work");
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_resumed_lane_stays_resumed_whatever_the_clocks_say() {
        let lane = LaneName::new("a").unwrap();
        let mut orders = Orders::default();
        orders.pause(&lane, at(500));
        let before = orders.clone();
        orders.resume(&lane, at(100));
        assert!(orders.paused.is_empty() && orders.resumed[&lane] > at(500));
        // The document from before the change is still there.
        let mut merged = before.clone();
        merged.merge(orders.clone());
        assert_eq!(merged, orders);
        let mut merged = orders.clone();
        merged.merge(before);
        assert_eq!(merged, orders);
        let resumed = orders.clone();
        orders.pause(&lane, at(200));
        assert!(orders.paused[&lane] > orders.resumed[&lane]);
        let paused = orders.clone();
        orders.merge(resumed);
        assert_eq!(orders, paused);
    }

    #[test]
    fn merging_forgets_nothing_that_either_document_ordered() {
        let name = |name: &str| LaneName::new(name).unwrap();
        let cancel = |second| CancelOrder { lane: None, job: None, batch: Some("b".into()), at: at(second) };
        let mut one = Orders { revision: 3, cancelled: vec![cancel(1), cancel(2)], ..Orders::default() };
        one.lanes.insert(name("a"));
        one.pause(&name("a"), at(10));
        let mut other = Orders { revision: 4, cancelled: vec![cancel(2), cancel(3)], ..Orders::default() };
        other.lanes.insert(name("b"));
        other.pause(&name("b"), at(11));
        let mut both = one.clone();
        both.merge(other.clone());
        assert_eq!((both.revision, both.lanes.len(), both.paused.len(), both.cancelled.len()), (4, 2, 2, 3));
        other.merge(one);
        assert_eq!((other.revision, &other.lanes, &other.paused), (4, &both.lanes, &both.paused));
    }

    #[test]
    fn an_order_to_cancel_ends_after_thirty_days() {
        let cancel = |second| CancelOrder { lane: None, job: None, batch: Some("b".into()), at: at(second) };
        let mut orders = Orders { cancelled: vec![cancel(0), cancel(86_400)], ..Orders::default() };
        orders.drop_old(at(30 * 86_400 + 1));
        assert_eq!(orders.cancelled, [cancel(86_400)]);
    }

    #[test]
    fn a_cancelled_lane_takes_new_work() {
        let at = Timestamp::from_second(100).unwrap();
        let order = CancelOrder { lane: Some(LaneName::new("a").unwrap()), job: None, batch: None, at };
        assert!(order.covers(&job("b", 100, false)));
        assert!(!order.covers(&job("b", 101, false)));
    }
}
