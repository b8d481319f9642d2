//! The worker as a member of a fleet, on a broker that loses lanes on demand and against simulated clouds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests, not only the tests themselves, stop at what is wrong"
)]

mod counting;
mod ending;
mod fake;
mod identity;
mod losing;
mod messages;
mod orders;
mod window;
mod world;
