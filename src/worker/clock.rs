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

/// Microseconds of the clock that systemd compares a reload with, rounded up; none where the system does not tell.
///
/// `/proc/uptime` counts the time that a machine was suspended too. Then the number is too high, which says the same: the
/// reload began after it was asked for.
pub fn uptime_micros() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/uptime").ok()?;
    let (seconds, hundredths) = text.split_whitespace().next()?.split_once('.')?;
    let (seconds, hundredths): (u64, u64) = (seconds.parse().ok()?, hundredths.parse().ok()?);
    Some((seconds * 100 + hundredths + 1) * 10_000)
}

/// A seed that differs from run to run.
pub fn seed() -> u64 {
    fastrand::u64(..)
}

/// Text never used before: a nonce, a run id.
pub fn nonce() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
