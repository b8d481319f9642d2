//! What is counted, by name: one table for the registry and for the page that documents it.

use super::tally::{Counted, REASONS, RESULTS, Spread};
use prometheus::{
    Encoder as _, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
    process_collector::ProcessCollector,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// One series: its name, its labels, what kind it is, what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// Counter, gauge or histogram.
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
    DEAD: "counter" "tagmill_items_dead_total" &["lane", "provider", "reason"], "Items that died, by reason: rejected, denied, auth, transient, cancelled, invalid, other.";
    JOBS_TAKEN: "counter" "tagmill_jobs_total" LANE, "Jobs that were taken on.";
    SUPERSEDED: "counter" "tagmill_items_superseded_total" LANE, "Tagged items whose value a later job had replaced before it was sent.";
    CALLS: "counter" "tagmill_calls_total" &["lane", "provider", "result"], "Answered requests to the tagging API: ok, partial, followup, throttled, transient, auth, denied, rejected.";
    THROTTLES: "counter" "tagmill_throttles_total" LANE, "Of those, answered with a throttle.";
    RETRIES: "counter" "tagmill_retries_total" LANE, "Requests that were sent again after a failure.";
    CALL_TIME: "histogram" "tagmill_call_duration_seconds" &["provider"], "How long requests took, from being sent to the end of their answer.";
    CALL_FILL: "histogram" "tagmill_call_resources" &["provider"], "Resources in a request.";
    EVENT_TIME: "histogram" "tagmill_event_to_tag_seconds" &["provider"], "For jobs of events: from the time of the event to the job's receipt.";
    JOB_TIME: "histogram" "tagmill_job_duration_seconds" &["provider"], "From the publishing of a job to its end.";
    RATE: "gauge" "tagmill_rate_calls_per_second" LANE, "Calls a second at the moment.";
    CEILING: "gauge" "tagmill_rate_ceiling_calls_per_second" LANE, "Calls a second at most, as configured.";
    FLIGHT: "gauge" "tagmill_calls_in_flight" LANE, "Calls that wait for an answer.";
    BACKLOG: "gauge" "tagmill_backlog_items" LANE, "Items that this worker holds and that are not final.";
    AGE: "gauge" "tagmill_oldest_age_seconds" LANE, "Age of the oldest message that this worker holds.";
    STATE: "gauge" "tagmill_lane_state" &["lane", "provider", "state"], "1 for the state that the lane is in at this worker.";
    EXPIRY: "gauge" "tagmill_credential_expiry_timestamp_seconds" LANE, "When the lane's credential ends; 0 where it does not, or nobody knows.";
    SUCCESS: "gauge" "tagmill_last_success_timestamp_seconds" LANE, "When this worker last finished a job of the lane in which something was tagged; 0 for never.";
    MESSAGES: "gauge" "tagmill_backlog_messages" LANE, "Messages in the queues of the lane that nobody holds. Every process tells it of the same queues.";
    CONSUMERS: "gauge" "tagmill_lane_consumers" LANE, "Consumers of the lane's queue.";
    LETTERS: "gauge" "tagmill_dead_letters" &[], "Dead letters of the fleet.";
    POISON: "gauge" "tagmill_poison_messages" &[], "Messages that were handed out a thousand times and given up.";
    UNROUTED: "gauge" "tagmill_unrouted_messages" &[], "Jobs for lanes that nobody declared.";
    CONNECTED: "gauge" "tagmill_broker_connected" &["connection"], "1 while the connection to the broker can be used: consuming, publishing.";
    RELOAD_OK: "gauge" "tagmill_config_last_reload_successful" &[], "1 where the last config was taken over, that of the start included.";
    RELOAD_AT: "gauge" "tagmill_config_last_reload_success_timestamp_seconds" &[], "When a config was last taken over.";
    RELOADS: "counter" "tagmill_config_reloads_total" &["result"], "Configs after the first: ok, refused.";
    HTTP: "counter" "tagmill_http_requests_total" &["route", "method", "code_class"], "Answers of the HTTP server.";
    HTTP_TIME: "histogram" "tagmill_http_request_duration_seconds" &["route"], "How long the HTTP server took to answer.";
    EVENTS: "counter" "tagmill_ingest_events_total" &["source", "result"], "Events: jobs, ignored, duplicate, dead, rejected, unavailable.";
    JOBS: "counter" "tagmill_ingest_jobs_total" &["result"], "Jobs handed in over HTTP: accepted, rejected, unavailable. A request that is rejected counts once.";
    MATCHES: "counter" "tagmill_rule_matches_total" &["rule"], "Events that the rule was for.";
    LEFT_OUT: "counter" "tagmill_rule_tags_left_out_total" &["rule"], "Tags that did not resolve.";
    ERRORS: "counter" "tagmill_rule_errors_total" &["rule"], "Events of which the rule could not make its job; they are dead letters.";
}

/// The states of a lane.
pub const STATES: [&str; 8] = ["working", "idle", "paused", "auth_paused", "outage", "full", "waiting", "away"];
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
    /// Throttles, retries.
    pub calls: [u64; 2],
    /// Calls a second now and at most.
    pub rate: (f64, f64),
    /// Calls that wait for an answer.
    pub in_flight: usize,
    /// Items that are not final.
    pub backlog: usize,
    /// Age of the oldest message, in seconds.
    pub oldest: f64,
    /// What was counted where it happened.
    pub counted: Counted,
}

/// What the broker holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Broker {
    /// Dead letters, where their queue is there.
    pub dead: Option<u64>,
    /// Poison messages.
    pub poison: Option<u64>,
    /// Unrouted messages.
    pub unrouted: Option<u64>,
    /// Name, provider, messages ready and consumers of each lane that has a queue.
    pub lanes: Vec<(String, String, u64, u64)>,
}

/// What became of configs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reloads {
    /// The last one was taken over.
    pub last_was_ok: bool,
    /// When one was taken over last, in seconds since 1970.
    pub taken_over_at: f64,
    /// Those that were taken over after the first.
    pub ok: u64,
    /// Those that were refused.
    pub refused: u64,
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
    seen: Mutex<HashMap<String, Vec<u64>>>,
    /// The histograms of every lane there ever was, so that they never shrink.
    spreads: Mutex<BTreeMap<String, (&'static str, Counted)>>,
    /// Lanes that were there at the last look: the gauges of one that is gone go.
    shown: Mutex<HashSet<(String, String)>>,
    /// The same for what the broker said of lanes.
    queues: Mutex<HashSet<(String, String)>>,
    routes: Mutex<BTreeMap<&'static str, Spread>>,
    reloads: OnceLock<Box<dyn Fn() -> Reloads + Send + Sync>>,
    reloaded: Mutex<[u64; 2]>,
}

/// Seconds that an answer takes.
const HTTP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Gauges that a lane has by itself, but its states.
const OF_LANE: [&Described; 7] = [&RATE, &CEILING, &FLIGHT, &BACKLOG, &AGE, &EXPIRY, &SUCCESS];

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
            } else if series.kind == "gauge"
                && let Ok(vec) = GaugeVec::new(opts, series.labels)
                && add(Box::new(vec.clone()))
            {
                gauges.insert(series.name, vec);
            }
        }
        add(Box::new(ProcessCollector::for_self()));
        let metrics = Self {
            inner: Arc::new(Inner {
                registry,
                counters,
                gauges,
                seen: Mutex::default(),
                spreads: Mutex::default(),
                shown: Mutex::default(),
                queues: Mutex::default(),
                routes: Mutex::default(),
                reloads: OnceLock::new(),
                reloaded: Mutex::default(),
            }),
        };
        metrics.set(&BUILD, &[env!("CARGO_PKG_VERSION")], 1.0);
        for result in JOB_RESULTS {
            metrics.count(&JOBS, &[result], 0);
        }
        for result in ["ok", "refused"] {
            metrics.count(&RELOADS, &[result], 0);
        }
        metrics.set(&RELOAD_OK, &[], 1.0);
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

    fn unset(&self, series: &Described, labels: &[&str]) {
        if let Some(vec) = self.inner.gauges.get(series.name) {
            // An error says that it was not there.
            let _ = vec.remove_label_values(labels);
        }
    }

    /// Who is asked what became of configs. Only the first one is.
    pub fn reloads(&self, ask: impl Fn() -> Reloads + Send + Sync + 'static) {
        let _ = self.inner.reloads.set(Box::new(ask));
    }

    /// What the broker holds; none where it could not be asked: then nothing is said.
    pub fn broker(&self, now: Option<&Broker>) {
        let nothing = Broker::default();
        let now = now.unwrap_or(&nothing);
        for (series, value) in [(&LETTERS, now.dead), (&POISON, now.poison), (&UNROUTED, now.unrouted)] {
            match value {
                Some(value) => self.set(series, &[], value as f64),
                None => self.unset(series, &[]),
            }
        }
        let mut there = HashSet::new();
        for (lane, provider, ready, consumers) in &now.lanes {
            self.set(&MESSAGES, &[lane, provider], *ready as f64);
            self.set(&CONSUMERS, &[lane, provider], *consumers as f64);
            there.insert((lane.clone(), provider.clone()));
        }
        let before = std::mem::replace(&mut *held(&self.inner.queues), there.clone());
        for (lane, provider) in before.difference(&there) {
            self.unset(&MESSAGES, &[lane, provider]);
            self.unset(&CONSUMERS, &[lane, provider]);
        }
    }

    /// Whether a connection can be used: `consuming`, `publishing`.
    pub fn connected(&self, connection: &'static str, is_up: bool) {
        self.set(&CONNECTED, &[connection], f64::from(u8::from(is_up)));
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
    pub fn answered(&self, route: &'static str, method: &str, status: u16, seconds: f64) {
        let class = match status {
            100..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.count(&HTTP, &[route, method, class], 1);
        held(&self.inner.routes).entry(route).or_insert_with(|| Spread::new(HTTP_SECONDS)).add(seconds);
    }

    /// Takes over how a lane is.
    fn lane(&self, now: &LaneNow) {
        let lane = [now.lane.as_str(), now.provider];
        let counted = &now.counted;
        let more = [now.calls.as_slice(), &[counted.jobs, counted.superseded]].concat();
        let counts = [now.items.as_slice(), &counted.reasons, &counted.results, &more].concat();
        let before = held(&self.inner.seen).insert(now.lane.clone(), counts.clone()).unwrap_or_default();
        let before = before.into_iter().chain(std::iter::repeat(0));
        let mut new = counts.iter().zip(before).map(|(now, before)| now.saturating_sub(before));
        let mut more = || new.next().unwrap_or_default();
        for outcome in OUTCOMES {
            self.count(&ITEMS, &[lane[0], lane[1], outcome], more());
        }
        for reason in REASONS {
            self.count(&DEAD, &[lane[0], lane[1], reason], more());
        }
        for result in RESULTS {
            self.count(&CALLS, &[lane[0], lane[1], result], more());
        }
        for series in [&THROTTLES, &RETRIES, &JOBS_TAKEN, &SUPERSEDED] {
            self.count(series, &lane, more());
        }
        let (flight, backlog) = (now.in_flight as f64, now.backlog as f64);
        let (expiry, success) = (counted.credential_ends, counted.last_success);
        let values = [now.rate.0, now.rate.1, flight, backlog, now.oldest, expiry, success];
        for (series, value) in OF_LANE.into_iter().zip(values) {
            self.set(series, &lane, value);
        }
        for state in STATES {
            self.set(&STATE, &[lane[0], lane[1], state], f64::from(u8::from(state == now.state)));
        }
        held(&self.inner.spreads).insert(now.lane.clone(), (now.provider, counted.clone()));
    }

    /// The gauges of lanes that this process does not serve any more.
    fn forget(&self, there: HashSet<(String, String)>) {
        let mut shown = held(&self.inner.shown);
        for (lane, provider) in shown.difference(&there) {
            for series in OF_LANE {
                self.unset(series, &[lane, provider]);
            }
            for state in STATES {
                self.unset(&STATE, &[lane, provider, state]);
            }
        }
        *shown = there;
    }

    fn configs(&self) {
        let Some(ask) = self.inner.reloads.get() else { return };
        let now = ask();
        self.set(&RELOAD_OK, &[], f64::from(u8::from(now.last_was_ok)));
        self.set(&RELOAD_AT, &[], now.taken_over_at);
        let mut before = held(&self.inner.reloaded);
        let [ok, refused] = *before;
        self.count(&RELOADS, &["ok"], now.ok.saturating_sub(ok));
        self.count(&RELOADS, &["refused"], now.refused.saturating_sub(refused));
        *before = [now.ok, now.refused];
    }

    /// The histograms: of all lanes of a provider together.
    fn spreads(&self, text: &mut String) {
        let mut providers: BTreeMap<&str, Counted> = BTreeMap::new();
        let lanes = held(&self.inner.spreads);
        for (provider, counted) in lanes.values() {
            let all = providers.entry(provider).or_default();
            all.call_seconds.join(&counted.call_seconds);
            all.call_resources.join(&counted.call_resources);
            all.event_seconds.join(&counted.event_seconds);
            all.job_seconds.join(&counted.job_seconds);
        }
        let of: [(&Described, Part); 4] = [
            (&CALL_TIME, |all| &all.call_seconds),
            (&CALL_FILL, |all| &all.call_resources),
            (&EVENT_TIME, |all| &all.event_seconds),
            (&JOB_TIME, |all| &all.job_seconds),
        ];
        for (series, spread) in of {
            head(series, text);
            for (provider, all) in &providers {
                spread(all).lines(series.name, ("provider", provider), text);
            }
        }
        head(&HTTP_TIME, text);
        for (route, spread) in held(&self.inner.routes).iter() {
            spread.lines(HTTP_TIME.name, ("route", route), text);
        }
    }

    /// All of it in the text format of Prometheus, with the lanes as they are now.
    pub fn render(&self, lanes: impl IntoIterator<Item = LaneNow>) -> String {
        let (mut there, mut consuming) = (HashSet::new(), false);
        for lane in lanes {
            self.lane(&lane);
            consuming |= lane.state != "away";
            there.insert((lane.lane, lane.provider.to_owned()));
        }
        if !there.is_empty() {
            self.connected("consuming", consuming);
        }
        self.forget(there);
        self.configs();
        let mut text = Vec::new();
        // What the registry gathered can be written to memory.
        let _ = TextEncoder::new().encode(&self.inner.registry.gather(), &mut text);
        let mut text = String::from_utf8(text).unwrap_or_default();
        self.spreads(&mut text);
        text
    }
}

/// One of the histograms of a lane.
type Part = fn(&Counted) -> &Spread;

/// What stands before the values of a series.
fn head(series: &Described, text: &mut String) {
    // A string can always be written to.
    let _ = writeln!(text, "# HELP {} {}\n# TYPE {} {}", series.name, series.help, series.name, series.kind);
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
            counted: Counted { results: [calls, 0, 0, 0, 0, 0, 0, 0], ..Counted::default() },
            ..LaneNow::default()
        }
    }

    #[test]
    fn every_series_of_the_table_is_registered_under_a_good_name() {
        let metrics = Metrics::new();
        let histograms = TABLE.iter().filter(|series| series.kind == "histogram").count();
        assert_eq!(metrics.inner.counters.len() + metrics.inner.gauges.len() + histograms, TABLE.len());
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

    #[test]
    fn what_the_broker_cannot_say_and_lanes_that_are_gone_are_not_told() {
        let metrics = Metrics::new();
        let now = Broker { dead: Some(3), lanes: vec![("a".into(), "huawei-tms".into(), 7, 1)], ..Broker::default() };
        metrics.broker(Some(&now));
        let text = metrics.render([lane(0, 0)]);
        assert!(
            text.contains("tagmill_dead_letters 3") && text.contains("tagmill_backlog_messages{lane=\"a\""),
            "{text}"
        );
        assert!(text.contains("tagmill_broker_connected{connection=\"consuming\"} 1"));
        metrics.broker(None);
        let text = metrics.render([]);
        for gone in ["\ntagmill_dead_letters ", "\ntagmill_backlog_messages{", "\ntagmill_lane_state{"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        assert!(text.contains("tagmill_items_total{lane=\"a\""), "what was counted stays");
        assert!(text.contains("tagmill_call_duration_seconds_count{provider=\"huawei-tms\"} 0"), "{text}");
    }

    #[test]
    fn a_config_that_is_refused_is_told() {
        let metrics = Metrics::new();
        assert!(metrics.render([]).contains("tagmill_config_last_reload_successful 1"));
        metrics.reloads(|| Reloads { last_was_ok: false, taken_over_at: 5.0, ok: 2, refused: 1 });
        metrics.render([]);
        let text = metrics.render([]);
        assert!(text.contains("tagmill_config_last_reload_successful 0"), "{text}");
        assert!(text.contains("tagmill_config_reloads_total{result=\"ok\"} 2"), "{text}");
    }
}
