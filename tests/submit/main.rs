//! `tagmill submit` and `tagmill watch` against a real RabbitMQ: the binary on one side, the queues on the other.
//!
//! `TAGMILL_TEST_AMQP` says where it is (default: guest on this machine). Every test has lanes and batches of its own and
//! removes their queues. `TAGMILL_TEST_SUBMIT_ROWS` sets the size of the file whose submission is killed (50,000).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    clippy::format_collect,
    reason = "helpers of a test are a test; files are small and text is text"
)]

#[path = "../support/rabbit/mod.rs"]
mod rabbit;

mod examples;
mod fault_broker;
mod fleet;
mod home;
mod proxy;
mod receipts;
mod resume;
mod send;
mod watch;
mod wire;
