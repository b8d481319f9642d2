//! The standing orders of a fleet against what this lane has been told of them: what it is to be told now.

use crate::{
    broker::{CancelOrder, Orders},
    job::LaneName,
    lane::{Cancel, Control},
};
use jiff::Timestamp;

/// What one lane has been told. Orders are a level: whoever opens a lane finds them, and a change is a difference.
#[derive(Debug)]
pub(super) struct Standing {
    lane: LaneName,
    paused: bool,
    resumed: Option<Timestamp>,
    cancelled: Vec<CancelOrder>,
}

impl Standing {
    /// A lane that is opened under these orders: it holds nothing yet and has no pause of its own.
    pub(super) fn at_open(lane: &LaneName, orders: &Orders) -> Self {
        Self {
            lane: lane.clone(),
            paused: orders.paused.contains_key(lane),
            resumed: orders.resumed.get(lane).copied(),
            cancelled: orders.cancelled.clone(),
        }
    }

    /// Whether the operator wants no calls.
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// What to tell the lane, now that the orders are these. What it takes on later is looked at then.
    pub(super) fn changed(&mut self, orders: &Orders) -> Vec<Control> {
        let mut told = Vec::new();
        let resumed = orders.resumed.get(&self.lane).copied();
        let paused = orders.paused.contains_key(&self.lane);
        let is_newer = resumed.is_some() && resumed > self.resumed;
        if is_newer || (self.paused && !paused) {
            told.push(Control::Resume);
        }
        if paused && (is_newer || !self.paused) {
            told.push(Control::Pause);
        }
        (self.paused, self.resumed) = (paused, resumed);
        for order in orders.cancelled.iter().filter(|order| !self.cancelled.contains(order)) {
            if order.lane.as_ref().is_some_and(|lane| *lane != self.lane) {
                continue;
            }
            told.push(Control::Cancel(match (&order.job, &order.batch) {
                (Some(job), _) => Cancel::Job(job.clone()),
                (None, Some(batch)) => Cancel::Batch(batch.as_str().into()),
                (None, None) => Cancel::All,
            }));
        }
        self.cancelled.clone_from(&orders.cancelled);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;

    fn lane() -> LaneName {
        LaneName::new("a").unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn paused(since: i64) -> Orders {
        Orders { paused: [(lane(), at(since))].into(), ..Orders::default() }
    }

    fn resumed(when: i64) -> Orders {
        Orders { resumed: [(lane(), at(when))].into(), ..Orders::default() }
    }

    #[test]
    fn a_pause_is_told_once_and_so_is_its_end() {
        let mut standing = Standing::at_open(&lane(), &Orders::default());
        assert_eq!(standing.changed(&paused(1)), [Control::Pause]);
        assert_eq!(standing.changed(&paused(1)), []);
        assert_eq!(standing.changed(&resumed(2)), [Control::Resume]);
        assert_eq!(standing.changed(&resumed(2)), []);
    }

    #[test]
    fn to_go_on_is_told_to_a_lane_that_the_operator_never_paused() {
        let mut standing = Standing::at_open(&lane(), &resumed(1));
        assert_eq!(standing.changed(&resumed(1)), []);
        assert_eq!(standing.changed(&resumed(2)), [Control::Resume], "it may have paused by itself");
    }

    #[test]
    fn resumed_and_paused_again_between_two_looks_ends_paused() {
        let mut standing = Standing::at_open(&lane(), &paused(1));
        let both = Orders { resumed: resumed(2).resumed, ..paused(3) };
        assert_eq!(standing.changed(&both), [Control::Resume, Control::Pause]);
        assert!(standing.is_paused());
    }

    #[test]
    fn a_new_cancellation_of_this_lane_is_told_once() {
        let order = |lane: Option<&str>, job: Option<&str>, batch: Option<&str>| CancelOrder {
            lane: lane.map(|name| LaneName::new(name).unwrap()),
            job: job.map(|id| JobId::new(id).unwrap()),
            batch: batch.map(str::to_owned),
            at: at(5),
        };
        let old = order(None, Some("known-at-open"), None);
        let mut orders = Orders { cancelled: vec![old], ..Orders::default() };
        let mut standing = Standing::at_open(&lane(), &orders);
        orders.cancelled.extend([
            order(Some("a"), None, None),
            order(Some("b"), None, None),
            order(None, Some("j"), None),
            order(Some("a"), None, Some("b-1")),
        ]);
        let told = standing.changed(&orders);
        let job = Cancel::Job(JobId::new("j").unwrap());
        assert_eq!(told, [Cancel::All, job, Cancel::Batch("b-1".into())].map(Control::Cancel));
        assert_eq!(standing.changed(&orders), []);
    }
}
