//! What a fleet of two processes tells Prometheus, with an incident on each of its lanes, or without any.

use std::{collections::BTreeMap, fmt::Write as _};

/// What goes wrong on a lane; its name says which.
pub const LANES: [&str; 9] = ["good", "old", "behind", "expired", "outage", "orphan", "throttled", "poison", "paused"];
const PROVIDER: &str = "alibaba-ecs";
const STATES: [&str; 8] = ["working", "idle", "paused", "auth_paused", "outage", "full", "waiting", "away"];
const OUTCOMES: [&str; 3] = ["tagged", "unchanged", "dead"];
const REASONS: [&str; 7] = ["rejected", "denied", "auth", "transient", "cancelled", "invalid", "other"];
const RESULTS: [&str; 8] = ["ok", "partial", "throttled", "transient", "auth", "denied", "rejected", "followup"];

/// One process. The first owns all lanes; the second serves them too, and has troubles of its own.
pub struct Process {
    owner: bool,
    started: f64,
    seen: f64,
    counters: BTreeMap<String, f64>,
    text: String,
}

impl Process {
    pub fn new(owner: bool) -> Self {
        Self { owner, started: 1.0, seen: 0.0, counters: BTreeMap::new(), text: String::new() }
    }

    fn gauge(&mut self, name: &str, labels: &str, value: f64) {
        writeln!(self.text, "{name}{{{labels}}} {value}").unwrap();
    }

    fn count(&mut self, name: &str, labels: &str, more: f64) {
        let key = format!("{name}{{{labels}}}");
        let value = self.counters.entry(key.clone()).or_default();
        *value += more;
        writeln!(self.text, "{key} {value}").unwrap();
    }

    /// All observations are the same, within the bound `within`.
    fn observe(&mut self, name: &str, labels: &str, bounds: &[f64], within: f64, more: f64) {
        let comma = if labels.is_empty() { "" } else { "," };
        for bound in bounds {
            let more = if *bound >= within { more } else { 0.0 };
            self.count(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"{bound}\""), more);
        }
        self.count(&format!("{name}_bucket"), &format!("{labels}{comma}le=\"+Inf\""), more);
        self.count(&format!("{name}_sum"), labels, more * within);
        self.count(&format!("{name}_count"), labels, more);
    }

    /// The exposition `now` seconds after the start.
    pub fn tell(&mut self, now: f64, incidents: bool) -> String {
        let passed = now - self.seen;
        self.seen = now;
        self.text.clear();
        let unix = tagmill::worker::clock::wall().as_duration().as_secs_f64();
        for lane in LANES {
            self.lane(lane, if incidents { lane } else { "good" }, passed, unix);
        }
        let trouble = incidents && !self.owner;
        let p = format!("provider=\"{PROVIDER}\"");
        self.observe("tagmill_call_duration_seconds", &p, &[0.05, 0.1, 0.5, 1.0, 5.0], 0.1, 10.0 * passed);
        self.observe(
            "tagmill_call_resources",
            &p,
            &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0],
            50.0,
            10.0 * passed,
        );
        self.observe("tagmill_event_to_tag_seconds", &p, &[1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 300.0], 2.0, passed);
        self.observe("tagmill_job_duration_seconds", &p, &[1.0, 10.0, 60.0, 300.0], 10.0, 5.0 * passed);
        let letters = if incidents { 500.0 } else { 0.0 };
        self.gauge("tagmill_dead_letters", "", letters);
        self.gauge("tagmill_dead_letters_oldest_age_seconds", "", if incidents { 100_000.0 } else { 0.0 });
        self.gauge("tagmill_poison_messages", "", if incidents { 1.0 } else { 0.0 });
        self.gauge("tagmill_unrouted_messages", "", 0.0);
        self.gauge("tagmill_broker_connected", "connection=\"consuming\"", 1.0);
        self.gauge("tagmill_broker_connected", "connection=\"publishing\"", if trouble { 0.0 } else { 1.0 });
        for source in ["aws", "alibaba", "huawei"] {
            for result in ["jobs", "ignored", "duplicate", "rejected", "unavailable"] {
                let rate = match (source, result) {
                    ("huawei", "unavailable") | ("alibaba", "rejected") if incidents => 5.0,
                    (_, "jobs") if source == "aws" || !incidents => 3.0,
                    (_, "ignored") => 1.0,
                    _ => 0.0,
                };
                self.count(
                    "tagmill_ingest_events_total",
                    &format!("source=\"{source}\",result=\"{result}\""),
                    rate * passed,
                );
            }
        }
        for result in ["accepted", "rejected", "unavailable"] {
            let rate = match result {
                "accepted" => 2.0,
                "unavailable" if incidents => 5.0,
                _ => 0.0,
            };
            self.count("tagmill_ingest_jobs_total", &format!("result=\"{result}\""), rate * passed);
        }
        for class in ["2xx", "4xx", "5xx"] {
            let labels = format!("route=\"/v1/jobs\",method=\"POST\",code_class=\"{class}\"");
            self.count("tagmill_http_requests_total", &labels, passed);
        }
        self.observe("tagmill_http_request_duration_seconds", "route=\"/v1/jobs\"", &[0.01, 0.1, 1.0], 0.1, passed);
        for name in ["matches", "tags_left_out", "errors"] {
            self.count(&format!("tagmill_rule_{name}_total"), "rule=\"owners\"", passed);
        }
        self.gauge("tagmill_config_last_reload_successful", "", if trouble { 0.0 } else { 1.0 });
        self.gauge("tagmill_config_last_reload_success_timestamp_seconds", "", if incidents { unix } else { 1.0 });
        for result in ["ok", "refused"] {
            self.count("tagmill_config_reloads_total", &format!("result=\"{result}\""), 0.1 * passed);
        }
        self.gauge("tagmill_build_info", if incidents { "version=\"2\"" } else { "version=\"1\"" }, 1.0);
        if trouble {
            self.started += passed;
        }
        self.gauge("process_start_time_seconds", "", self.started);
        self.gauge("process_resident_memory_bytes", "", 5e7);
        self.gauge("process_open_fds", "", 20.0);
        self.count("process_cpu_seconds_total", "", 0.1 * passed);
        self.text.clone()
    }

    fn lane(&mut self, lane: &str, incident: &str, passed: f64, unix: f64) {
        let labels = format!("lane=\"{lane}\",provider=\"{PROVIDER}\"");
        let own = if self.owner { passed } else { 0.0 };
        let (mut ok, mut throttled, mut failing, mut tagged, mut dead) = (2.0, 0.0, 0.0, 50.0, 0.0);
        let (mut state, mut held, mut ready, mut consumers, mut age, mut rate) =
            ("working", 100.0, 5.0, 2.0, 30.0, 2.0);
        match incident {
            "old" => (ok, age) = (0.2, 7_200.0),
            "behind" => age = 90_000.0,
            "expired" => (ok, tagged, state, age) = (0.0, 0.0, "auth_paused", 600.0),
            "outage" => (ok, failing, tagged, state) = (0.0, 1.0, 0.0, "outage"),
            "orphan" => (ok, tagged, state, held, consumers, ready) = (0.0, 0.0, "away", 0.0, 0.0, 9.0),
            "throttled" => (throttled, rate) = (4.0, 0.3),
            "poison" => (tagged, dead) = (800.0, 200.0),
            "paused" => (ok, tagged, state, age, ready) = (0.0, 0.0, "paused", 100_000.0, 50.0),
            _ => {}
        }
        self.count("tagmill_jobs_total", &labels, own);
        self.count("tagmill_items_superseded_total", &labels, own);
        self.count("tagmill_retries_total", &labels, own * throttled);
        self.count("tagmill_throttles_total", &labels, own * throttled);
        self.count("tagmill_calls_saved_total", &labels, own * ok * 9.0);
        self.count("tagmill_limiter_wait_seconds_total", &labels, own * 0.5);
        for outcome in OUTCOMES {
            let rate = if outcome == "tagged" {
                tagged
            } else if outcome == "dead" {
                dead
            } else {
                0.0
            };
            self.count("tagmill_items_total", &format!("{labels},outcome=\"{outcome}\""), own * rate);
        }
        for reason in REASONS {
            let rate = if reason == "transient" { dead } else { 0.0 };
            self.count("tagmill_items_dead_total", &format!("{labels},reason=\"{reason}\""), own * rate);
        }
        for result in RESULTS {
            let rate = if result == "ok" {
                ok
            } else if result == "throttled" {
                throttled
            } else if result == "transient" {
                failing
            } else {
                0.0
            };
            self.count("tagmill_calls_total", &format!("{labels},result=\"{result}\""), own * rate);
        }
        if !self.owner {
            (state, held, age, rate) = ("waiting", 0.0, 0.0, 0.0);
        }
        for one in STATES {
            self.gauge(
                "tagmill_lane_state",
                &format!("{labels},state=\"{one}\""),
                if one == state { 1.0 } else { 0.0 },
            );
        }
        self.gauge("tagmill_rate_calls_per_second", &labels, rate);
        self.gauge("tagmill_rate_ceiling_calls_per_second", &labels, 2.0);
        self.gauge("tagmill_calls_in_flight", &labels, if self.owner { 1.0 } else { 0.0 });
        self.gauge("tagmill_backlog_items", &labels, held);
        self.gauge("tagmill_backlog_messages", &labels, ready);
        self.gauge("tagmill_lane_consumers", &labels, consumers);
        self.gauge("tagmill_oldest_age_seconds", &labels, age);
        self.gauge("tagmill_credential_expiry_timestamp_seconds", &labels, unix + 3_600.0);
        self.gauge("tagmill_last_success_timestamp_seconds", &labels, if self.owner { unix - 1.0 } else { 0.0 });
    }
}
