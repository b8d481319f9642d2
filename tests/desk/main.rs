//! What a fleet shares besides its queues, and the operator's commands on it, against a real RabbitMQ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::default_trait_access,
    reason = "a test that panics has failed"
)]

mod cli;
mod control;
mod dead;
mod lock;
mod orders;
mod support;
mod unrouted;
