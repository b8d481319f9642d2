//! A fleet as a user runs it: RabbitMQ, workers as processes of their own, simulated clouds, and everything that fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

#[path = "../cli/support.rs"]
#[allow(dead_code, clippy::format_collect, reason = "shared with the tests of the commands")]
mod support;

#[path = "../support/rabbit/mod.rs"]
mod rabbit;

mod amqp;
mod fault_events;
mod fault_http;
mod fault_load;
mod fault_messages;
mod fault_openapi;
mod fault_operator;
mod fault_order;
mod fault_stop;
mod fleet;
mod http;
mod log;
mod node_access;
mod reload;
mod truth;
mod urgent;
