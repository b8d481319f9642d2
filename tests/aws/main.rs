//! AWS providers in a real lane against small clouds in virtual time: calls are counted, and no tag is ever lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::format_collect,
    reason = "tests, and their texts are short"
)]

mod buckets;
mod drive;
mod s3;
mod tagging;
