//! Waiting without sleeping blindly: ask again until it is so, or until a deadline says that it never will be.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::panic, reason = "tests")]

use std::time::Duration;

const BETWEEN_PROBES: Duration = Duration::from_millis(50);

/// Asks until the answer is `Some` and returns what was found; panics with `what` after `deadline`.
///
/// Real time only: under a paused tokio clock the deadline passes at once.
pub async fn eventually<T>(what: &str, deadline: Duration, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(deadline, probe).await.unwrap_or_else(|| panic!("{what}: not within {deadline:?}"))
}

/// As `eventually`, for who has more to say when the deadline has passed: then it is `None`.
pub async fn within<T>(deadline: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let asking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(BETWEEN_PROBES).await;
        }
    };
    tokio::time::timeout(deadline, asking).await.ok()
}

/// A name nobody else uses, in this run or any other: for queues, virtual hosts and users on a shared broker.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::now_v7().simple())
}
