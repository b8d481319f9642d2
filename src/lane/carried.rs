//! What a call on its way carries, for whoever follows a job through its calls.

use super::{CallId, Lane};
use crate::job::Trace;
use rustc_hash::FxHashSet;

/// Traces of one call that are told at most: what a span may have links.
const TRACES: usize = 128;

/// The jobs of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// How many they are.
    pub jobs: usize,
    /// The traces they belong to, each once; 128 at most.
    pub traces: Vec<Trace>,
}

impl Lane {
    /// The jobs of a call that waits for its reply; none where there is no such call.
    pub fn carried(&self, id: CallId) -> Carried {
        let Some(flight) = self.flights.get(&id) else { return Carried::default() };
        let unit = &flight.unit;
        let involved = |row| self.backlog.involved(row, &unit.cells, &self.ledger).map(|item| item.job);
        let jobs: FxHashSet<u32> = unit.rows.iter().copied().flat_map(involved).collect();
        let mut known = FxHashSet::default();
        let traces = jobs.iter().filter_map(|job| self.ledger.name(*job)?.1).filter(|trace| known.insert(*trace));
        Carried { jobs: jobs.len(), traces: traces.take(TRACES).cloned().collect() }
    }
}
