//! Planning keeps its promises: fewest calls, within limits, nothing twice, and the tags that the jobs in order give.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod oracle;
mod workloads;
