//! What operators want of the lanes: paused, resumed, cancelled. Level, not edge: whoever comes late reads the same.

use crate::job::{Job, JobId, LaneName};
use jiff::Timestamp;
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

impl Orders {
    /// Whether the job must not be sent any more.
    pub fn is_cancelled(&self, job: &Job) -> bool {
        self.cancelled.iter().any(|order| order.covers(job))
    }
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

    #[test]
    fn a_cancelled_lane_takes_new_work() {
        let at = Timestamp::from_second(100).unwrap();
        let order = CancelOrder { lane: Some(LaneName::new("a").unwrap()), job: None, batch: None, at };
        assert!(order.covers(&job("b", 100, false)));
        assert!(!order.covers(&job("b", 101, false)));
    }
}
