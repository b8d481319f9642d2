//! The only reader of real time and of chance. Everything else is told.
#![allow(clippy::disallowed_methods, reason = "this is the one file that may")]

use jiff::Timestamp;
use std::time::Instant;

/// The wall clock, for signatures and documents.
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// The monotonic clock, for waits.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// A seed that differs from run to run.
pub fn seed() -> u64 {
    fastrand::u64(..)
}

/// Text never used before: a nonce, a run id.
pub fn nonce() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
