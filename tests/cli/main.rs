//! The binary as a user meets it: real commands in a folder of their own, against simulated clouds over HTTP.
//!
//! `TAGMILL_TEST_ROWS` sets the size of the file that is killed and resumed (100,000 in release, 20,000 in debug).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "helpers of a test are a test; files are small and text is text"
)]

mod aws;
mod dlq;
mod faulty;
mod identity;
mod input;
mod kill;
mod newborn;
mod offline;
mod output;
mod rules;
mod stop;
mod support;
mod whoami;
mod worker;
