//! What every provider must do, checked over all of them: right requests, right verdicts, no surprises.
//!
//! A new provider brings data, not tests: a row in `samples.json`, a table in `errors/`, its vectors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_collect,
    reason = "tests, and their texts are short"
)]

mod checks;
mod checks_aws;
mod data;
mod errors;
mod golden;
mod golden_aws;
mod limits;
mod noise;
mod page;
mod s3;
mod secrets;
