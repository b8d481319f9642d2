//! What lanes have counted and how they are: read from their tallies, written as Prometheus wants it.

use super::table::{
    AGE, BACKLOG, CALL_FILL, CALL_TIME, CALLS, CEILING, DEAD, Described, EVENT_TIME, EXPIRY, FLIGHT, ITEMS, JOB_TIME,
    JOBS_TAKEN, LIMITED, OUTCOMES, RATE, RETRIES, SAVED, STATE, STATES, SUCCESS, SUPERSEDED, THROTTLES,
};
use crate::telemetry::tally::{Counted, Counts, REASONS, RESULTS, Spread, Spreads, Tally};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::{Display, Write as _},
    sync::Arc,
};

/// Series that are written here, and that no registry knows.
pub(super) const WRITTEN: [&Described; 21] = [
    &ITEMS,
    &DEAD,
    &CALLS,
    &JOBS_TAKEN,
    &SUPERSEDED,
    &THROTTLES,
    &RETRIES,
    &SAVED,
    &LIMITED,
    &CALL_TIME,
    &CALL_FILL,
    &EVENT_TIME,
    &JOB_TIME,
    &RATE,
    &CEILING,
    &FLIGHT,
    &BACKLOG,
    &AGE,
    &STATE,
    &EXPIRY,
    &SUCCESS,
];

/// A lane as it is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneNow {
    /// Its name.
    pub lane: String,
    /// Its provider.
    pub provider: &'static str,
    /// One of [`STATES`].
    pub state: &'static str,
    /// Calls a second now and at most.
    pub rate: (f64, f64),
    /// Calls that wait for an answer.
    pub in_flight: usize,
    /// Items that are not final.
    pub backlog: usize,
    /// Age of the oldest message, in seconds.
    pub oldest: f64,
    /// What was counted where it happened. One tally, one lane: it goes on counting when the lane is lost and opened
    /// again, and another lane of the same name has another one.
    pub tally: Arc<Tally>,
}

/// Name and provider.
type Labels = (String, &'static str);

/// A tally that somebody may still count with.
struct Open {
    of: Labels,
    tally: Arc<Tally>,
}

/// The tallies of all lanes that were ever shown. What they counted never gets less: what has ended is kept as a sum.
#[derive(Default)]
pub(super) struct Lanes {
    /// By address, which is nobody else's as long as the tally is kept.
    open: HashMap<usize, Open>,
    ended: BTreeMap<Labels, Counts>,
    /// The histograms of lanes that have ended, by provider.
    spreads: BTreeMap<&'static str, Spreads>,
}

/// The gauges of a lane, in the order of [`GAUGES`].
#[derive(Clone, Copy)]
struct Shown {
    state: &'static str,
    values: [f64; GAUGES.len()],
}

/// Gauges that a lane has by itself, but its states.
const GAUGES: [&Described; 7] = [&RATE, &CEILING, &FLIGHT, &BACKLOG, &AGE, &EXPIRY, &SUCCESS];

impl Shown {
    fn of(now: &LaneNow) -> Self {
        let counted = now.tally.counted();
        let (flight, backlog) = (now.in_flight as f64, now.backlog as f64);
        let values =
            [now.rate.0, now.rate.1, flight, backlog, now.oldest, counted.credential_ends, counted.last_success];
        Self { state: now.state, values }
    }

    /// A lane that was put back before it had ended is there twice: the new one waits while the old one ends.
    fn join(&mut self, other: Self) {
        for (series, (value, more)) in GAUGES.iter().zip(self.values.iter_mut().zip(other.values)) {
            *value = if [&FLIGHT, &BACKLOG].contains(series) { *value + more } else { value.max(more) };
        }
        if !matches!(other.state, "waiting" | "away") {
            self.state = other.state;
        }
    }
}

impl Lanes {
    /// Writes the lanes as they are, and what all that there ever were have counted.
    pub(super) fn write(&mut self, now: &[LaneNow], text: &mut String) {
        for lane in now {
            let tally = &lane.tally;
            self.open
                .entry(Arc::as_ptr(tally).addr())
                .or_insert_with(|| Open { of: (lane.lane.clone(), lane.provider), tally: Arc::clone(tally) });
        }
        let (counts, spreads) = self.sums();
        counters(&counts, text);
        gauges(now, text);
        histograms(&spreads, text);
    }

    /// No tally is kept that nobody counts with.
    #[cfg(test)]
    pub(super) fn is_tidy(&self) -> bool {
        self.open.is_empty()
    }

    /// Counts by lane and provider, histograms by provider. What nobody counts with any more is added up for good.
    fn sums(&mut self) -> (BTreeMap<Labels, Counts>, BTreeMap<&'static str, Spreads>) {
        let Self { open, ended, spreads } = self;
        let mut living = Vec::new();
        open.retain(|_, Open { of, tally }| {
            // Looked at before the numbers are read: who is gone by then counts no more.
            let is_open = Arc::strong_count(tally) > 1;
            let Counted { counts, spreads: more, .. } = tally.counted().clone();
            if is_open {
                living.push((of.clone(), counts, more));
            } else {
                ended.entry(of.clone()).or_default().join(&counts);
                spreads.entry(of.1).or_default().join(&more);
            }
            is_open
        });
        let (mut all, mut providers) = (ended.clone(), spreads.clone());
        for (of, counts, more) in living {
            providers.entry(of.1).or_default().join(&more);
            all.entry(of).or_default().join(&counts);
        }
        (all, providers)
    }
}

/// One line of a series. Labels come in the order of their names.
fn line(name: &str, labels: &[(&str, &str)], value: impl Display, into: &mut String) {
    into.push_str(name);
    let mut before = '{';
    for (label, value) in labels {
        // Lanes, providers and fixed words: none has a letter that would have to be escaped. A string can be written to.
        let _ = write!(into, "{before}{label}=\"{value}\"");
        before = ',';
    }
    let _ = writeln!(into, "}} {value}");
}

fn counters(all: &BTreeMap<Labels, Counts>, text: &mut String) {
    if all.is_empty() {
        return;
    }
    let mut split = |series: &Described, words: &[&str], of: fn(&Counts) -> &[u64]| {
        head(series, text);
        let label = series.labels.last().copied().unwrap_or_default();
        for ((lane, provider), counts) in all {
            for (word, value) in words.iter().zip(of(counts)) {
                let mut labels = [("lane", lane.as_str()), ("provider", *provider), (label, *word)];
                labels.sort_unstable();
                line(series.name, &labels, value, text);
            }
        }
    };
    split(&ITEMS, &OUTCOMES, |counts| &counts.items);
    split(&DEAD, &REASONS, |counts| &counts.reasons);
    split(&CALLS, &RESULTS, |counts| &counts.results);
    let mut whole = |series: &Described, of: fn(&Counts) -> f64| {
        head(series, text);
        for ((lane, provider), counts) in all {
            line(series.name, &[("lane", lane), ("provider", provider)], of(counts), text);
        }
    };
    whole(&JOBS_TAKEN, |counts| counts.jobs as f64);
    whole(&SUPERSEDED, |counts| counts.superseded as f64);
    whole(&THROTTLES, |counts| counts.throttled as f64);
    whole(&RETRIES, |counts| counts.retries as f64);
    whole(&SAVED, |counts| counts.saved as f64);
    whole(&LIMITED, |counts| counts.limited_seconds);
}

fn gauges(now: &[LaneNow], text: &mut String) {
    let mut lanes: BTreeMap<(&str, &str), Shown> = BTreeMap::new();
    for lane in now {
        let shown = Shown::of(lane);
        match lanes.get_mut(&(lane.lane.as_str(), lane.provider)) {
            Some(known) => known.join(shown),
            None => drop(lanes.insert((&lane.lane, lane.provider), shown)),
        }
    }
    if lanes.is_empty() {
        return;
    }
    for (at, series) in GAUGES.iter().enumerate() {
        head(series, text);
        for ((lane, provider), shown) in &lanes {
            let value = shown.values.get(at).copied().unwrap_or_default();
            line(series.name, &[("lane", lane), ("provider", provider)], value, text);
        }
    }
    head(&STATE, text);
    for ((lane, provider), shown) in &lanes {
        for state in STATES {
            let labels = [("lane", *lane), ("provider", *provider), ("state", state)];
            line(STATE.name, &labels, u8::from(state == shown.state), text);
        }
    }
}

/// One of the histograms of a lane.
type Part = fn(&Spreads) -> &Spread;

fn histograms(providers: &BTreeMap<&'static str, Spreads>, text: &mut String) {
    let of: [(&Described, Part); 4] = [
        (&CALL_TIME, |all| &all.call_seconds),
        (&CALL_FILL, |all| &all.call_resources),
        (&EVENT_TIME, |all| &all.event_seconds),
        (&JOB_TIME, |all| &all.job_seconds),
    ];
    for (series, spread) in of {
        head(series, text);
        for (provider, all) in providers {
            spread(all).lines(series.name, ("provider", provider), text);
        }
    }
}

/// What stands before the values of a series.
pub(super) fn head(series: &Described, text: &mut String) {
    // A string can always be written to.
    let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {}", series.name, series.help, series.name, series.kind);
}
