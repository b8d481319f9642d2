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

    /// Goes on with these rules: those of the same name keep their counts.
    pub(super) fn follow(&self, rules: &Rules) {
        let fresh = Self::new(rules).rules();
        let mut known = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = |new: RuleTally| match known.iter().find(|old| old.name == new.name) {
            Some(old) => RuleTally { source: new.source, ..old.clone() },
            None => new,
        };
        let all = fresh.into_iter().map(kept).collect();
        *known = all;
    }

    /// Counts what followed from an event.
    pub(super) fn add(&self, decision: &Decision, now: Timestamp) {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in decision.rules.iter().filter(|outcome| outcome.met != Met::NotForIt) {
            // A rule that left the config a moment ago is counted no more.
            let Some(tally) = rules.iter_mut().find(|tally| tally.name == outcome.rule) else { continue };
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
