//! Counts of events and rules since the server began.

use crate::event::{Decision, Met, Rules};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// What a rule has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct RuleTally {
    /// Its name.
    pub(super) name: String,
    /// The clouds it is for.
    pub(super) source: Vec<&'static str>,
    /// Events it was for, whatever its condition said.
    pub(super) events: u64,
    /// Of those, events whose condition held.
    pub(super) matched: u64,
    /// Jobs it made.
    pub(super) jobs: u64,
    /// Resources in them.
    pub(super) resources: u64,
    /// Tags that were left out because they did not resolve.
    pub(super) left_out: u64,
    /// Events of which it should have made a job and could not: they are dead letters.
    pub(super) errors: u64,
    /// When it last matched.
    pub(super) last_matched_at: Option<Timestamp>,
}

/// Counts of all rules.
#[derive(Debug)]
pub(super) struct Tally {
    rules: Mutex<Vec<RuleTally>>,
}

impl Tally {
    /// All at nought.
    pub(super) fn new(rules: &Rules) -> Self {
        let rules = rules.specs().map(|spec| RuleTally {
            name: spec.name.clone(),
            source: spec.sources.iter().map(|source| source.as_str()).collect(),
            ..RuleTally::default()
        });
        Self { rules: Mutex::new(rules.collect()) }
    }

    /// Counts what followed from an event.
    pub(super) fn add(&self, decision: &Decision, now: Timestamp) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for (tally, outcome) in rules.iter_mut().zip(&decision.rules) {
            if outcome.met == Met::NotForIt {
                continue;
            }
            tally.events += 1;
            if outcome.met != Met::Yes || decision.ignored.is_some() {
                continue;
            }
            tally.matched += 1;
            tally.jobs += outcome.jobs as u64;
            tally.left_out += outcome.left_out() as u64;
            tally.errors += u64::from(outcome.trouble.is_some());
            tally.last_matched_at = Some(now);
            tally.resources += outcome.resources as u64;
        }
    }

    /// The counts.
    pub(super) fn rules(&self) -> Vec<RuleTally> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
