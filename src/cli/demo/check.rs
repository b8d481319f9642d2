//! Compares what tagmill reports with what the simulated clouds hold.

use super::workload::{Lane, Workload};
use crate::{
    broker::embedded::{DeadFilter, Embedded},
    cli::{report, run::Ledger},
    job::ItemFailure,
    sim::Sim,
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// The part of a dead letter that is looked at.
#[derive(Deserialize)]
struct Letter {
    failures: Vec<ItemFailure>,
}

/// What the comparison found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    right: u64,
    wrong: Vec<String>,
    calls: (u64, u64),
    dead: Vec<String>,
}

impl Verdict {
    pub(super) fn is_right(&self) -> bool {
        self.wrong.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        for dead in &self.dead {
            writeln!(f, "dead: {dead}")?;
        }
        let (told, seen) = self.calls;
        writeln!(f, "\ncalls: {} sent, {} seen by the clouds", report::thousands(told), report::thousands(seen))?;
        writeln!(f, "clouds: {} resources carry exactly the file's tags", report::thousands(self.right))?;
        for wrong in self.wrong.iter().take(20) {
            writeln!(f, "WRONG: {wrong}")?;
        }
        if self.is_right() {
            writeln!(f, "The ledger equals what the clouds hold, and only what was planted is dead.")
        } else {
            writeln!(f, "{} things are WRONG: this is a bug in tagmill, please report it.", self.wrong.len())
        }
    }
}

pub(super) async fn check(
    workload: &Workload,
    sim: &Sim,
    queue: &Embedded,
    ledger: &Ledger,
) -> anyhow::Result<Verdict> {
    let mut verdict = Verdict::default();
    let held: BTreeMap<Lane, BTreeMap<String, BTreeMap<String, String>>> =
        Lane::ALL.into_iter().map(|lane| (lane, sim.tags(lane.name()))).collect();
    for server in workload.servers.iter().filter(|server| server.poison.is_none()) {
        let wanted: BTreeMap<String, String> =
            server.tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let found = held.get(&server.lane).and_then(|tags| tags.get(&server.shown_as()));
        if found == Some(&wanted) {
            verdict.right += 1;
        } else {
            verdict.wrong.push(format!("{} in {} does not carry its tags", server.id, server.lane.name()));
        }
    }
    dead(workload, queue, &mut verdict).await?;
    let sum = ledger.totals.sum();
    let planted = workload.poison().count() as u64;
    if sum.accepted != workload.servers.len() as u64
        || sum.tagged + sum.unchanged != verdict.right
        || sum.dead != planted
        || sum.pending != 0
    {
        verdict.wrong.push("the ledger does not equal what the clouds hold".into());
    }
    let seen = Lane::ALL.iter().map(|lane| sim.counts(lane.name()).requests).sum();
    verdict.calls = (sum.calls, seen);
    if sum.calls != seen {
        verdict.wrong.push("the calls told are not the calls seen".into());
    }
    for lane in Lane::ALL {
        let overlapping = sim.counts(lane.name()).overlapping;
        if overlapping > 0 {
            verdict.wrong.push(format!("{}: {overlapping} times a resource was in two calls at once", lane.name()));
        }
    }
    Ok(verdict)
}

/// The dead letters are exactly the planted resources, each with its reason.
async fn dead(workload: &Workload, queue: &Embedded, verdict: &mut Verdict) -> anyhow::Result<()> {
    let mut planted: BTreeSet<String> = workload.poison().map(super::workload::Server::address).collect();
    let mut cursor = None;
    loop {
        let page = queue.dead_letters_in_full(DeadFilter::default(), cursor, 500).await?;
        for letter in page.found {
            let letter: Letter = serde_json::from_slice(&letter.body)?;
            for failure in letter.failures {
                let id = &failure.resource.id;
                let request = failure.request_id.as_deref().unwrap_or("-");
                let (code, attempts) = (&failure.code, failure.attempts);
                let message = report::plain(&failure.message);
                verdict.dead.push(format!("{id}  {code}: {message}  (request {request}, attempts {attempts})"));
                if !planted.remove(&**id) {
                    verdict.wrong.push(format!("{id} is dead and was not planted"));
                }
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    verdict.wrong.extend(planted.into_iter().map(|id| format!("{id} was planted and is not dead")));
    Ok(())
}
