//! A lane's view in the words of a worker's answer to "how is it?".

use super::{LaneView, Stand};
use crate::broker::rabbitmq::control::{LaneCounts, LaneReport, LaneState};
use crate::telemetry::LaneNow;
use jiff::Timestamp;
use std::sync::Arc;

impl LaneView {
    /// The same as it is counted. Lanes that somebody else works on are `waiting`.
    pub fn now(&self, now: Timestamp) -> LaneNow {
        let status = &self.status;
        let state = match &self.stand {
            Stand::Opening | Stand::Away(_) | Stand::Refused(_) | Stand::Closed => "away",
            // An order, and a lane that only observes, are meant to be silent.
            _ if status.ordered || status.paused.as_deref().is_some_and(|why| why.starts_with("mode: observe")) => {
                "paused"
            }
            _ if status.paused.is_some() => "auth_paused",
            _ if !self.active => "waiting",
            _ if status.outage => "outage",
            _ if self.full => "full",
            _ if status.jobs > 0 => "working",
            _ => "idle",
        };
        LaneNow {
            lane: self.name.to_string(),
            provider: self.provider,
            state,
            // Whoever only waits for the lane has no rate of its own.
            rate: (if self.active { status.rate } else { 0.0 }, status.ceiling),
            in_flight: status.in_flight,
            backlog: status.pending,
            oldest: self.oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0)),
            tally: Arc::clone(&self.tally),
        }
    }

    /// What a worker says of the lane; nothing where it is not open.
    pub fn report(&self, now: Timestamp) -> Option<LaneReport> {
        let state = match &self.stand {
            Stand::Draining => LaneState::Draining,
            Stand::Open if self.active => LaneState::Active,
            Stand::Open => LaneState::Waiting,
            Stand::Opening | Stand::Away(_) | Stand::Refused(_) | Stand::Closed => return None,
        };
        let (status, counts) = (&self.status, self.status.counts);
        Some(LaneReport {
            name: self.name.clone(),
            state,
            held: status.jobs as u64,
            pending: status.pending as u64,
            waiting: status.waiting as u64,
            in_flight: status.in_flight as u64,
            // A clock elsewhere may be ahead of ours.
            oldest_seconds: self.oldest.map(|at| now.duration_since(at).as_secs().max(0).unsigned_abs()),
            rate: status.rate,
            ceiling: status.ceiling,
            paused: status.paused.clone(),
            outage: status.outage,
            full: self.full,
            counts: LaneCounts {
                tagged: counts.tagged,
                unchanged: counts.unchanged,
                dead: counts.dead,
                calls: counts.calls,
                throttled: counts.throttled,
                retries: counts.retries,
            },
        })
    }
}
