//! A lane's view as plain fields, for an answer that travels: the status of a fleet.

use super::{LaneView, Stand};
use crate::job::LaneName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What one worker says of one lane.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneReport {
    /// The lane.
    pub lane: LaneName,
    /// It is open: this worker works on it, or waits for its turn.
    pub open: bool,
    /// This worker is the one that works on it.
    pub active: bool,
    /// Why it is not open.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub away: Option<String>,
    /// Messages it holds.
    pub messages: u64,
    /// Items of those messages that are not final.
    pub items: u64,
    /// Items that wait for a retry.
    pub waiting: u64,
    /// Calls on their way.
    pub in_flight: u64,
    /// When the oldest message it holds was published, or taken on where that is not known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oldest: Option<Timestamp>,
    /// It takes no more, because all it holds waits.
    pub full: bool,
    /// Why it makes no calls, when somebody must act.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub paused: Option<String>,
    /// It probes an outage of its cloud.
    pub outage: bool,
    /// Calls a second at the moment.
    pub rate: f64,
    /// Calls a second at most, as configured.
    pub ceiling: f64,
    /// Since the worker was started: calls, and of those throttled ones and repeated ones.
    pub calls: u64,
    /// Calls that were answered with a throttle.
    pub throttled: u64,
    /// Calls that were made again.
    pub retries: u64,
    /// Items that were tagged.
    pub tagged: u64,
    /// Items that were right already.
    pub unchanged: u64,
    /// Items that are dead.
    pub dead: u64,
}

impl LaneReport {
    /// What is so now, of every lane.
    pub fn of(views: &[watch::Receiver<LaneView>]) -> Vec<Self> {
        views.iter().map(|view| Self::from(&*view.borrow())).collect()
    }
}

impl From<&LaneView> for LaneReport {
    fn from(view: &LaneView) -> Self {
        let (status, counts) = (&view.status, view.status.counts);
        let away = match &view.stand {
            Stand::Away(why) | Stand::Refused(why) => Some(why.clone()),
            Stand::Opening | Stand::Open | Stand::Closed => None,
        };
        Self {
            lane: view.name.clone(),
            open: view.stand == Stand::Open,
            active: view.active,
            away,
            messages: status.jobs as u64,
            items: status.pending as u64,
            waiting: status.waiting as u64,
            in_flight: status.in_flight as u64,
            oldest: view.oldest,
            full: view.full,
            paused: status.paused.clone(),
            outage: status.outage,
            rate: status.rate,
            ceiling: status.ceiling,
            calls: counts.calls,
            throttled: counts.throttled,
            retries: counts.retries,
            tagged: counts.tagged,
            unchanged: counts.unchanged,
            dead: counts.dead,
        }
    }
}
