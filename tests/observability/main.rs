//! Dashboards, alerts and the runbook: held against each other, against promtool, and against a running Prometheus.
//!
//! promtool and prometheus come from scripts/tools.sh. Where they cannot be had, the tests that need them say that they
//! are left out; `TAGMILL_TEST_NO_PROMETHEUS=1` leaves them out on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of a test are a test; a test that is left out says so"
)]

#[path = "../support/eventually.rs"]
mod eventually;

mod dashboards;
mod exporter;
mod files;
mod live;
mod prometheus;
mod rules;
mod runbook;
mod world;
