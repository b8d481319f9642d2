//! What the task of a lane counts: answers, jobs and how long they took, and what its machine has done.

use crate::{
    broker::Ticket,
    call::{Answer, Fate, Kind},
    job::{Priority, Receipt},
    lane::{Counts, Work},
    telemetry::Tally,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// The counts of a lane, and what is needed to tell them apart.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) tally: Arc<Tally>,
    /// When the events happened whose jobs are held.
    events: BTreeMap<Ticket, Timestamp>,
}

/// The class of an answer.
pub(super) fn result(answer: &Answer) -> &'static str {
    match answer {
        Answer::FollowUp(_) => "followup",
        Answer::Failure(failure) => word(failure.kind),
        Answer::Finished(fates) if fates.iter().any(|fate| matches!(fate, Fate::Failed(_))) => "partial",
        Answer::Finished(_) => "ok",
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Throttled => "throttled",
        Kind::Transient => "transient",
        Kind::Auth => "auth",
        Kind::Denied => "denied",
        Kind::Rejected => "rejected",
    }
}

impl Counted {
    pub(super) fn new(tally: Arc<Tally>) -> Self {
        Self { tally, events: BTreeMap::new() }
    }

    /// A job was taken on.
    pub(super) fn job(&mut self, work: &Work) {
        self.tally.counted().counts.jobs += 1;
        if work.job.extras.priority == Priority::Event
            && let Some(at) = work.job.extras.created_at
        {
            self.events.insert(work.ticket, at);
        }
    }

    /// What the lane's machine has done so far, under all owners in this process.
    pub(super) fn done(&self, all: &Counts) {
        self.tally.done([all.tagged, all.unchanged, all.dead], all.causes, |counts| {
            (counts.throttled, counts.retries) = (all.throttled, all.retries);
            (counts.saved, counts.limited_seconds) = (all.saved, all.limited.as_secs_f64());
        });
    }

    /// All items of a job are final.
    pub(super) fn receipt(&self, ticket: Ticket, receipt: &Receipt, wall: Timestamp) {
        let mut counted = self.tally.counted();
        counted.counts.superseded += receipt.superseded;
        if receipt.tagged + receipt.unchanged > 0 {
            counted.last_success = wall.as_duration().as_secs_f64();
        }
        if let Some(at) = self.events.get(&ticket) {
            counted.spreads.event_seconds.add(wall.duration_since(*at).as_secs_f64());
        }
    }

    /// A job is settled; it was published then, where that is known.
    pub(super) fn settled(&mut self, ticket: Ticket, published: Option<Timestamp>, wall: Timestamp) {
        self.events.remove(&ticket);
        if let Some(at) = published {
            self.tally.counted().spreads.job_seconds.add(wall.duration_since(at).as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{lane::Cause, telemetry::tally::REASONS};

    #[test]
    fn a_cause_of_the_lane_is_counted_under_its_own_word() {
        assert_eq!(Cause::ALL.map(Cause::as_str), REASONS);
    }
}
