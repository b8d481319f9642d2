//! What is counted, and what of it Prometheus is told.

mod lanes;
mod table;

pub use lanes::LaneNow;
pub use table::{Described, EVENT_RESULTS, JOB_RESULTS, STATES, TABLE};

use super::tally::Spread;
use lanes::{Lanes, WRITTEN, head};
use prometheus::{
    Encoder as _, GaugeVec, IntCounterVec, Opts, Registry, TextEncoder, core::Collector,
    process_collector::ProcessCollector,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use table::{
    BUILD, CONNECTED, CONSUMERS, ERRORS, EVENTS, HTTP, HTTP_TIME, JOBS, LEFT_OUT, LETTERS, LETTERS_AGE, MATCHES,
    MESSAGES, POISON, RELOAD_AT, RELOAD_OK, RELOADS, UNROUTED,
};

/// What the broker holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Broker {
    /// Dead letters, where their queue is there.
    pub dead: Option<u64>,
    /// Age of the oldest one in seconds; nought where there is none.
    pub oldest: Option<f64>,
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
    lanes: Mutex<Lanes>,
    /// Lanes of which the broker said something at the last look: the gauges of one that is gone go.
    queues: Mutex<HashSet<(String, String)>>,
    routes: Mutex<BTreeMap<&'static str, Spread>>,
    reloads: OnceLock<Box<dyn Fn() -> Reloads + Send + Sync>>,
    reloaded: Mutex<[u64; 2]>,
}

/// Seconds that an answer takes.
const HTTP_SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

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
        for series in TABLE.iter().filter(|series| !WRITTEN.contains(series)) {
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
                lanes: Mutex::default(),
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
        let count = |found: Option<u64>| found.map(|count| count as f64);
        let fleet = [
            (&LETTERS, count(now.dead)),
            (&LETTERS_AGE, now.oldest),
            (&POISON, count(now.poison)),
            (&UNROUTED, count(now.unrouted)),
        ];
        for (series, value) in fleet {
            match value {
                Some(value) => self.set(series, &[], value),
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

    /// All of it in the text format of Prometheus, with the lanes as they are now.
    pub fn render(&self, lanes: impl IntoIterator<Item = LaneNow>) -> String {
        let lanes: Vec<LaneNow> = lanes.into_iter().collect();
        if !lanes.is_empty() {
            self.connected("consuming", lanes.iter().any(|lane| lane.state != "away"));
        }
        self.configs();
        let mut text = Vec::new();
        // What the registry gathered can be written to memory.
        let _ = TextEncoder::new().encode(&self.inner.registry.gather(), &mut text);
        let mut text = String::from_utf8(text).unwrap_or_default();
        held(&self.inner.lanes).write(&lanes, &mut text);
        head(&HTTP_TIME, &mut text);
        for (route, spread) in held(&self.inner.routes).iter() {
            spread.lines(HTTP_TIME.name, ("route", route), &mut text);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Tally;

    /// A lane that counts with this tally.
    fn lane(tally: &Arc<Tally>) -> LaneNow {
        LaneNow {
            lane: "a".into(),
            provider: "huawei-tms",
            state: "working",
            tally: Arc::clone(tally),
            ..LaneNow::default()
        }
    }

    /// The value of a series.
    fn value<'t>(text: &'t str, series: &str) -> &'t str {
        let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("{series}: {text}"))
    }

    const TAGGED: &str = "tagmill_items_total{lane=\"a\",outcome=\"tagged\",provider=\"huawei-tms\"}";
    const CALLS_TIMED: &str = "tagmill_call_duration_seconds_count{provider=\"huawei-tms\"}";

    #[test]
    fn every_series_of_the_table_is_registered_under_a_good_name() {
        let metrics = Metrics::new();
        let written = WRITTEN.len() + 1;
        assert_eq!(metrics.inner.counters.len() + metrics.inner.gauges.len() + written, TABLE.len());
        for series in TABLE {
            assert!(series.name.starts_with("tagmill_") && series.help.ends_with('.'), "{}", series.name);
            assert_eq!(series.name.ends_with("_total"), series.kind == "counter", "{}", series.name);
        }
    }

    #[test]
    fn counters_of_a_lane_are_what_it_counted_and_known_series_start_at_nought() {
        let (metrics, tally) = (Metrics::new(), Arc::<Tally>::default());
        metrics.source("aws");
        let text = metrics.render([lane(&tally)]);
        for series in TABLE.iter().filter(|series| series.kind == "counter" && series.labels.contains(&"lane")) {
            assert!(text.contains(&format!("{}{{lane=\"a\",", series.name)), "{} does not start at 0", series.name);
        }
        assert!(text.contains("tagmill_ingest_events_total{result=\"jobs\",source=\"aws\"} 0"));
        assert!(text.contains("process_cpu_seconds_total"));
        tally.counted().counts.items = [3, 0, 1];
        assert_eq!(value(&metrics.render([lane(&tally)]), TAGGED), "3");
        let text = metrics.render([lane(&tally)]);
        assert_eq!(value(&text, TAGGED), "3");
        assert!(text.contains("outcome=\"dead\",provider=\"huawei-tms\"} 1"), "{text}");
        assert!(text.contains("state=\"working\"} 1") && text.contains("state=\"idle\"} 0"));
    }

    #[test]
    fn a_lane_that_is_put_back_before_it_has_ended_is_counted_once_and_shown_once() {
        let (metrics, first, second) = (Metrics::new(), Arc::<Tally>::default(), Arc::<Tally>::default());
        first.counted().counts.items = [100, 0, 0];
        metrics.render([lane(&first)]);
        let both = || {
            let waiting = LaneNow { state: "waiting", backlog: 2, ..lane(&second) };
            metrics.render([LaneNow { backlog: 5, ..lane(&first) }, waiting])
        };
        for _ in 0..3 {
            assert_eq!(value(&both(), TAGGED), "100");
        }
        first.counted().counts.items = [110, 0, 0];
        second.counted().counts.items = [1, 0, 0];
        let text = both();
        assert_eq!(value(&text, TAGGED), "111");
        assert_eq!(value(&text, "tagmill_backlog_items{lane=\"a\",provider=\"huawei-tms\"}"), "7");
        assert_eq!(text.matches("tagmill_lane_state{lane=\"a\"").count(), STATES.len());
        assert!(text.contains("state=\"working\"} 1"), "{text}");
        drop(first);
        assert_eq!(value(&metrics.render([lane(&second)]), TAGGED), "111");
    }

    #[test]
    fn counters_and_histograms_go_on_when_a_lane_ends_and_another_of_its_name_begins() {
        let metrics = Metrics::new();
        for round in 1..=3 {
            let tally = Arc::<Tally>::default();
            metrics.render([lane(&tally)]);
            // What comes after the last look is counted all the same.
            tally.counted().counts.items = [7, 0, 0];
            tally.counted().spreads.call_seconds.add(0.2);
            drop(tally);
            let text = metrics.render([]);
            assert_eq!(value(&text, TAGGED), (7 * round).to_string());
            assert_eq!(value(&text, CALLS_TIMED), round.to_string());
        }
        assert!(held(&metrics.inner.lanes).is_tidy(), "what has ended is kept as a sum");
    }

    #[test]
    fn a_lane_under_another_provider_is_counted_under_that_one_too() {
        let (metrics, first, second) = (Metrics::new(), Arc::<Tally>::default(), Arc::<Tally>::default());
        first.counted().counts.items = [4, 0, 0];
        metrics.render([lane(&first)]);
        drop(first);
        second.counted().counts.items = [2, 0, 0];
        let text = metrics.render([LaneNow { provider: "alibaba-ecs", ..lane(&second) }]);
        assert_eq!(value(&text, TAGGED), "4");
        assert_eq!(value(&text, &TAGGED.replace("huawei-tms", "alibaba-ecs")), "2");
        assert!(!text.contains("tagmill_lane_state{lane=\"a\",provider=\"huawei-tms\""), "{text}");
    }

    #[test]
    fn what_the_broker_cannot_say_and_lanes_that_are_gone_are_not_told() {
        let metrics = Metrics::new();
        let tally = Arc::<Tally>::default();
        let now = Broker {
            dead: Some(3),
            oldest: Some(90.5),
            lanes: vec![("a".into(), "huawei-tms".into(), 7, 1)],
            ..Broker::default()
        };
        metrics.broker(Some(&now));
        let text = metrics.render([lane(&tally)]);
        assert!(
            text.contains("tagmill_dead_letters 3") && text.contains("tagmill_backlog_messages{lane=\"a\""),
            "{text}"
        );
        assert_eq!(value(&text, "tagmill_dead_letters_oldest_age_seconds"), "90.5");
        assert!(text.contains("tagmill_broker_connected{connection=\"consuming\"} 1"));
        metrics.broker(None);
        let text = metrics.render([]);
        for gone in [
            "\ntagmill_dead_letters ",
            "\ntagmill_dead_letters_oldest_age_seconds ",
            "\ntagmill_backlog_messages{",
            "\ntagmill_lane_state{",
        ] {
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
