//! What is counted, by name: one table for the registry and for the page that documents it.

use prometheus::{
    Encoder as _, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
    process_collector::ProcessCollector,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// One series: its name, its labels, what kind it is, what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// Counter or gauge.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

const LANE: &[&str] = &["lane", "provider"];

macro_rules! table {
    ($($id:ident: $kind:literal $name:literal $labels:expr, $help:literal;)*) => {
        $(const $id: Described = Described { name: $name, kind: $kind, labels: $labels, help: $help };)*
        /// Every series but those of the process itself.
        pub const TABLE: &[Described] = &[$($id),*];
    };
}

table! {
    BUILD: "gauge" "tagmill_build_info" &["version"], "1; the version is the label.";
    ITEMS: "counter" "tagmill_items_total" &["lane", "provider", "outcome"], "Items that are final: tagged, unchanged, dead.";
    CALLS: "counter" "tagmill_calls_total" LANE, "Requests to the tagging API, all of them.";
    THROTTLES: "counter" "tagmill_throttles_total" LANE, "Of those, answered with a throttle.";
    RETRIES: "counter" "tagmill_retries_total" LANE, "Of those, sent again after a failure.";
    RATE: "gauge" "tagmill_rate_calls_per_second" LANE, "Calls a second at the moment.";
    CEILING: "gauge" "tagmill_rate_ceiling_calls_per_second" LANE, "Calls a second at most, as configured.";
    FLIGHT: "gauge" "tagmill_calls_in_flight" LANE, "Calls that wait for an answer.";
    BACKLOG: "gauge" "tagmill_backlog_items" LANE, "Items that this worker holds and that are not final.";
    AGE: "gauge" "tagmill_oldest_age_seconds" LANE, "Age of the oldest message that this worker holds.";
    STATE: "gauge" "tagmill_lane_state" &["lane", "provider", "state"], "1 for the state that the lane is in at this worker.";
    HTTP: "counter" "tagmill_http_requests_total" &["route", "method", "code_class"], "Answers of the HTTP server.";
    EVENTS: "counter" "tagmill_ingest_events_total" &["source", "result"], "Events: jobs, ignored, duplicate, dead, rejected, unavailable.";
    JOBS: "counter" "tagmill_ingest_jobs_total" &["result"], "Jobs handed in over HTTP: accepted, rejected, unavailable. A request that is rejected counts once.";
    MATCHES: "counter" "tagmill_rule_matches_total" &["rule"], "Events that the rule was for.";
    LEFT_OUT: "counter" "tagmill_rule_tags_left_out_total" &["rule"], "Tags that did not resolve.";
    ERRORS: "counter" "tagmill_rule_errors_total" &["rule"], "Events of which the rule could not make its job; they are dead letters.";
}

/// The states of a lane.
pub const STATES: [&str; 7] = ["working", "idle", "paused", "outage", "full", "waiting", "away"];
/// What becomes of an event.
pub const EVENT_RESULTS: [&str; 6] = ["jobs", "ignored", "duplicate", "dead", "rejected", "unavailable"];
/// What becomes of jobs that are handed in.
pub const JOB_RESULTS: [&str; 3] = ["accepted", "rejected", "unavailable"];
const OUTCOMES: [&str; 3] = ["tagged", "unchanged", "dead"];

/// A lane as it is counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LaneNow {
    /// Its name.
    pub lane: String,
    /// Its provider.
    pub provider: &'static str,
    /// One of [`STATES`].
    pub state: &'static str,
    /// Items tagged, unchanged, dead.
    pub items: [u64; 3],
    /// Calls, throttles, retries.
    pub calls: [u64; 3],
    /// Calls a second now and at most.
    pub rate: (f64, f64),
    /// Calls that wait for an answer.
    pub in_flight: usize,
    /// Items that are not final.
    pub backlog: usize,
    /// Age of the oldest message, in seconds.
    pub oldest: f64,
}

/// All series. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    counters: HashMap<&'static str, IntCounterVec>,
    gauges: HashMap<&'static str, GaugeVec>,
    /// What lanes had counted when they were last looked at: a counter only grows by what is new.
    seen: Mutex<HashMap<String, [u64; 6]>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All of them, those without a lane or a rule at nought.
    pub fn new() -> Self {
        let registry = Registry::new();
        let (mut counters, mut gauges) = (HashMap::new(), HashMap::new());
        let add = |collector: Box<dyn Collector>| registry.register(collector).is_ok();
        for series in TABLE {
            let opts = Opts::new(series.name, series.help);
            // A name that is wrong or there twice is seen by a test of the table.
            if series.kind == "counter" {
                if let Ok(vec) = IntCounterVec::new(opts, series.labels)
                    && add(Box::new(vec.clone()))
                {
                    counters.insert(series.name, vec);
                }
            } else if let Ok(vec) = GaugeVec::new(opts, series.labels)
                && add(Box::new(vec.clone()))
            {
                gauges.insert(series.name, vec);
            }
        }
        add(Box::new(ProcessCollector::for_self()));
        let metrics = Self { inner: Arc::new(Inner { registry, counters, gauges, seen: Mutex::default() }) };
        metrics.set(&BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
        for result in JOB_RESULTS {
            metrics.count(&JOBS, &[result], 0);
        }
        metrics
    }

    fn count(&self, series: &Described, labels: &[&str], more: u64) {
        if let Some(counter) =
            self.inner.counters.get(series.name).and_then(|vec| vec.get_metric_with_label_values(labels).ok())
        {
            counter.inc_by(more);
        }
    }

    fn set(&self, series: &Described, labels: &[&str], value: f64) {
        if let Some(gauge) =
            self.inner.gauges.get(series.name).and_then(|vec| vec.get_metric_with_label_values(labels).ok())
        {
            gauge.set(value);
        }
    }

    /// Begins the counts of a source of events.
    pub fn source(&self, source: &str) {
        for result in EVENT_RESULTS {
            self.events(source, result, 0);
        }
    }

    /// Begins the counts of a rule.
    pub fn rule(&self, rule: &str) {
        self.matched(rule, 0, 0, 0);
    }

    /// What a rule made of an event.
    pub fn matched(&self, rule: &str, matches: u64, left_out: u64, errors: u64) {
        self.count(&MATCHES, &[rule], matches);
        self.count(&LEFT_OUT, &[rule], left_out);
        self.count(&ERRORS, &[rule], errors);
    }

    /// What became of events of a source; the result is one of [`EVENT_RESULTS`].
    pub fn events(&self, source: &str, result: &'static str, more: u64) {
        self.count(&EVENTS, &[source, result], more);
    }

    /// What became of jobs that were handed in; the result is one of [`JOB_RESULTS`].
    pub fn jobs(&self, result: &'static str, more: u64) {
        self.count(&JOBS, &[result], more);
    }

    /// An answer of the HTTP server. The route is the path of the table, never what was asked for.
    pub fn answered(&self, route: &str, method: &str, status: u16) {
        let class = match status {
            100..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.count(&HTTP, &[route, method, class], 1);
    }

    /// Takes over how a lane is.
    fn lane(&self, now: &LaneNow) {
        let lane = [now.lane.as_str(), now.provider];
        let [tagged, unchanged, dead] = now.items;
        let [calls, throttles, retries] = now.calls;
        let counts = [tagged, unchanged, dead, calls, throttles, retries];
        let mut seen = self.inner.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.insert(now.lane.clone(), counts).unwrap_or_default();
        let mut new = counts.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        let mut more = || new.next().unwrap_or_default();
        for outcome in OUTCOMES {
            self.count(&ITEMS, &[lane[0], lane[1], outcome], more());
        }
        for series in [&CALLS, &THROTTLES, &RETRIES] {
            self.count(series, &lane, more());
        }
        drop(seen);
        self.set(&RATE, &lane, now.rate.0);
        self.set(&CEILING, &lane, now.rate.1);
        self.set(&FLIGHT, &lane, now.in_flight as f64);
        self.set(&BACKLOG, &lane, now.backlog as f64);
        self.set(&AGE, &lane, now.oldest);
        for state in STATES {
            self.set(&STATE, &[lane[0], lane[1], state], f64::from(u8::from(state == now.state)));
        }
    }

    /// All of it in the text format of Prometheus, with the lanes as they are now.
    pub fn render(&self, lanes: impl IntoIterator<Item = LaneNow>) -> String {
        for lane in lanes {
            self.lane(&lane);
        }
        let mut text = Vec::new();
        // What the registry gathered can be written to memory.
        let _ = TextEncoder::new().encode(&self.inner.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(tagged: u64, calls: u64) -> LaneNow {
        LaneNow {
            lane: "a".into(),
            provider: "huawei-tms",
            state: "working",
            items: [tagged, 0, 0],
            calls: [calls, 0, 0],
            ..LaneNow::default()
        }
    }

    #[test]
    fn every_series_of_the_table_is_registered_under_a_good_name() {
        let metrics = Metrics::new();
        assert_eq!(metrics.inner.counters.len() + metrics.inner.gauges.len(), TABLE.len());
        for series in TABLE {
            assert!(series.name.starts_with("tagmill_") && series.help.ends_with('.'), "{}", series.name);
            assert_eq!(series.name.ends_with("_total"), series.kind == "counter", "{}", series.name);
        }
    }

    #[test]
    fn counters_of_a_lane_grow_by_what_is_new_and_known_series_start_at_nought() {
        let metrics = Metrics::new();
        metrics.source("aws");
        let text = metrics.render([lane(3, 1)]);
        assert!(
            text.contains("tagmill_items_total{lane=\"a\",outcome=\"tagged\",provider=\"huawei-tms\"} 3"),
            "{text}"
        );
        assert!(text.contains("outcome=\"dead\",provider=\"huawei-tms\"} 0"));
        assert!(text.contains("tagmill_ingest_events_total{result=\"jobs\",source=\"aws\"} 0"));
        assert!(text.contains("process_cpu_seconds_total"));
        metrics.render([lane(3, 1)]);
        let text = metrics.render([lane(5, 2)]);
        assert!(text.contains("outcome=\"tagged\",provider=\"huawei-tms\"} 5"), "{text}");
        assert!(text.contains("state=\"working\"} 1") && text.contains("state=\"idle\"} 0"));
    }
}
