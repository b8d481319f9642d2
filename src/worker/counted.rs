//! What the task of a lane counts: answers, dead items and why, how long jobs took.

use crate::{
    broker::Ticket,
    call::{Answer, Failure, Fate, Kind},
    job::{DeadLetter, Priority, Receipt},
    lane::Work,
    telemetry::Tally,
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc};

/// Codes whose kind is remembered: far more than any cloud has.
const CODES: usize = 500;

/// The counts of a lane, and what is needed to tell them apart.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) tally: Arc<Tally>,
    /// What each code that came was: a dead letter has codes alone.
    kinds: BTreeMap<String, Kind>,
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
        Self { tally, kinds: BTreeMap::new(), events: BTreeMap::new() }
    }

    /// A job was taken on.
    pub(super) fn job(&mut self, work: &Work) {
        self.tally.counted().jobs += 1;
        if work.job.extras.priority == Priority::Event
            && let Some(at) = work.job.extras.created_at
        {
            self.events.insert(work.ticket, at);
        }
    }

    /// A call was answered.
    pub(super) fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Failure(failure) => self.learn(failure),
            Answer::Finished(fates) => {
                for fate in fates {
                    if let Fate::Failed(failure) = fate {
                        self.learn(failure);
                    }
                }
            }
            Answer::FollowUp(_) => {}
        }
    }

    fn learn(&mut self, failure: &Failure) {
        if self.kinds.len() < CODES && !self.kinds.contains_key(&failure.code) {
            self.kinds.insert(failure.code.clone(), failure.kind);
        }
    }

    /// Items died.
    pub(super) fn letter(&self, letter: &DeadLetter) {
        for failure in &letter.failures {
            let reason = match (failure.code.as_str(), self.kinds.get(&failure.code)) {
                ("cancelled", _) => "cancelled",
                // Nothing was ever sent: it could not be.
                (_, None) if failure.attempts == 0 => "invalid",
                // A throttle is never why something dies, but its time may be up.
                (_, Some(Kind::Throttled)) => "transient",
                (_, Some(kind)) => word(*kind),
                (_, None) => "other",
            };
            self.tally.dead(reason);
        }
    }

    /// All items of a job are final.
    pub(super) fn receipt(&self, ticket: Ticket, receipt: &Receipt, wall: Timestamp) {
        let mut counted = self.tally.counted();
        counted.superseded += receipt.superseded;
        if receipt.tagged + receipt.unchanged > 0 {
            counted.last_success = wall.as_duration().as_secs_f64();
        }
        if let Some(at) = self.events.get(&ticket) {
            counted.event_seconds.add(wall.duration_since(*at).as_secs_f64());
        }
    }

    /// A job is settled; it was published then, where that is known.
    pub(super) fn settled(&mut self, ticket: Ticket, published: Option<Timestamp>, wall: Timestamp) {
        self.events.remove(&ticket);
        if let Some(at) = published {
            self.tally.counted().job_seconds.add(wall.duration_since(at).as_secs_f64());
        }
    }
}
