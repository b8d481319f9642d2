//! What a worker says of itself when it is asked.

use crate::job::LaneName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A worker and its lanes. A field that an older or newer worker leaves out has its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkerReport {
    /// Its name; no two workers have the same.
    pub worker: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// The version of tagmill.
    pub version: String,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// The revision of the standing orders that it knows.
    pub orders: u64,
    /// Every lane it has subscribed to.
    pub lanes: Vec<LaneReport>,
}

/// Whether a worker has a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// It has subscribed and was handed nothing yet: another worker has the lane, or nobody has sent anything.
    Waiting,
    /// It was handed messages: the lane is its own.
    Active,
    /// It ends the lane in good order.
    Draining,
    /// Something that this build does not know.
    #[default]
    #[serde(other)]
    Other,
}

/// A lane as one worker sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneReport {
    /// Its name.
    pub name: LaneName,
    /// Whether the worker has it.
    #[serde(default)]
    pub state: LaneState,
    /// Messages in its hands that are not done.
    #[serde(default)]
    pub held: u64,
    /// Items of those messages that are not final.
    #[serde(default)]
    pub pending: u64,
    /// Of those items: the ones that wait for a retry.
    #[serde(default)]
    pub waiting: u64,
    /// Calls on their way.
    #[serde(default)]
    pub in_flight: u64,
    /// Seconds since the oldest message in its hands was published.
    #[serde(default)]
    pub oldest_seconds: Option<u64>,
    /// Calls a second at the moment.
    #[serde(default)]
    pub rate: f64,
    /// Calls a second at most.
    #[serde(default)]
    pub ceiling: f64,
    /// Why it makes no calls, where somebody has paused it or must act.
    #[serde(default)]
    pub paused: Option<String>,
    /// Probing an outage of the cloud.
    #[serde(default)]
    pub outage: bool,
    /// Its window is full of messages that cannot go on yet: nothing more is taken.
    #[serde(default)]
    pub full: bool,
    /// What it has counted since the worker got it.
    #[serde(default)]
    pub counts: LaneCounts,
}

/// Counts of a lane since its worker got it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LaneCounts {
    /// Items tagged.
    pub tagged: u64,
    /// Items that were right already.
    pub unchanged: u64,
    /// Items that are dead.
    pub dead: u64,
    /// Requests to the cloud.
    pub calls: u64,
    /// Of those, answered with a throttle.
    pub throttled: u64,
    /// Of those, sent again after a failure.
    pub retries: u64,
}

impl LaneReport {
    /// A lane that the worker has subscribed to and was handed nothing of.
    pub fn waiting(name: LaneName) -> Self {
        Self {
            name,
            state: LaneState::Waiting,
            held: 0,
            pending: 0,
            waiting: 0,
            in_flight: 0,
            oldest_seconds: None,
            rate: 0.0,
            ceiling: 0.0,
            paused: None,
            outage: false,
            full: false,
            counts: LaneCounts::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_another_version_is_read_as_far_as_it_is_known() {
        let text = r#"{"worker":"w","mood":"fine","lanes":[{"name":"a","state":"dreaming","held":3,"x":[]}]}"#;
        let report: WorkerReport = serde_json::from_str(text).unwrap();
        assert_eq!((report.worker.as_str(), report.lanes[0].held), ("w", 3));
        assert_eq!(report.lanes[0].state, LaneState::Other);
    }
}
