//! Against real RabbitMQ: the broker that `make test` found or started, and nodes of the tests' own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

#[path = "../support/rabbit/mod.rs"]
mod rabbit;

mod node_client;
mod node_script;
mod nodes;
