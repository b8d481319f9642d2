//! Every series by name: one table for what is told and for the page that documents it.

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
        $(pub(super) const $id: Described = Described { name: $name, kind: $kind, labels: $labels, help: $help };)*
        /// Every series but those of the process itself.
        pub const TABLE: &[Described] = &[$($id),*];
    };
}

table! {
    BUILD: "gauge" "tagmill_build_info" &["version"], "1; the version is the label.";
    ITEMS: "counter" "tagmill_items_total" &["lane", "provider", "outcome"], "Items that are final: tagged, unchanged, dead. A message that is no job is one that is dead.";
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
    SAVED: "counter" "tagmill_calls_saved_total" LANE, "Calls that jobs would have made alone, less those they made together.";
    LIMITED: "counter" "tagmill_limiter_wait_seconds_total" LANE, "Seconds for which a call was ready and waited for the rate limit.";
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
    LETTERS_AGE: "gauge" "tagmill_dead_letters_oldest_age_seconds" &[], "Age of the oldest dead letter, exact up to 100 letters, at least so old above; 0 where there is none.";
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
pub(super) const OUTCOMES: [&str; 3] = ["tagged", "unchanged", "dead"];
