//! Dashboards, alerts and the runbook: held against each other, against promtool, and against a running Prometheus.
//!
//! promtool and prometheus come from scripts/tools.sh. Where they cannot be had, the tests that need them say that they
//! are left out; `TAGMILL_TEST_NO_PROMETHEUS=1` leaves them out on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of a test are a test; a test that is left out says so"
)]

#[path = "../cli/support.rs"]
#[allow(dead_code, clippy::format_collect, reason = "shared with the tests of the commands")]
mod support;

#[path = "../support/rabbit/mod.rs"]
mod rabbit;

#[path = "../fleet/amqp.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod amqp;

#[path = "../fleet/fleet.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod fleet;

#[path = "../fleet/http.rs"]
#[allow(dead_code, reason = "shared with the tests of a fleet")]
mod http;

mod dashboards;
mod dashboards_live;
mod exporter;
mod fault_fleet;
mod fault_operations;
mod files;
mod live;
mod prometheus;
mod rules;
mod runbook;
mod scene;
mod world;
