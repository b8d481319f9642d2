//! Waiting without sleeping blindly: ask again until it is so, or until a deadline says that it never will be.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::panic, reason = "tests")]

use std::time::Duration;

const BETWEEN_PROBES: Duration = Duration::from_millis(50);

/// Asks until the answer is `Some` and returns what was found; panics with `what` after `deadline`.
///
/// Real time only: under a paused tokio clock the deadline passes at once.
pub async fn eventually<T>(what: &str, deadline: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    };
    match tokio::time::timeout(deadline, asking).await {
        Ok(found) => found,
        Err(_) => panic!("{what}: not within {deadline:?}"),
    }
}

/// A name nobody else uses, in this run or any other: for queues, virtual hosts and users on a shared broker.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::now_v7().simple())
}
