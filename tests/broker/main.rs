//! What every broker promises, and what the embedded queue promises beyond that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that panics has failed"
)]

mod behaviour;
mod cancel_and_replay;
mod damage;
mod disk;
mod dlq;
mod embedded;
mod hands;
mod kill;
mod make;
mod model;
mod pace;
mod proxy;
mod rabbit_documents;
mod rabbit_lanes;
mod rabbit_urgent;
mod rabbitmq;
mod runs;
