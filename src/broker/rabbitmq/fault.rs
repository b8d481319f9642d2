//! From what the client library says to what a caller can act on; no wait on the broker is without an end.

use crate::broker::BrokerError;
use lapin::{Error, ErrorKind};
use std::{future::Future, time::Duration};

/// How long the broker may take to answer a question.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// `ACCESS_REFUSED`: a permission is missing.
const ACCESS_REFUSED: u16 = 403;
/// `NOT_FOUND`: there is no such queue or exchange.
pub const NOT_FOUND: u16 = 404;
/// `PRECONDITION_FAILED`: it is there with other arguments, or a message is too large.
const PRECONDITION_FAILED: u16 = 406;
/// `NOT_ALLOWED`: no such vhost, or not for this user.
const NOT_ALLOWED: u16 = 530;

/// The broker's reply code, where it gave one.
pub fn code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// What failed, for a caller. `what` says what was asked for, such as `declaring tagmill.jobs`.
pub fn told(error: &Error, what: &str) -> BrokerError {
    match code(error) {
        Some(ACCESS_REFUSED | NOT_ALLOWED) => BrokerError::Refused(format!(
            "{what}: the broker refuses it: {error}; the user needs configure, write and read on ^tagmill\\. (or the prefix in the config)"
        )),
        Some(PRECONDITION_FAILED) => BrokerError::Refused(format!("{what}: {error}")),
        Some(NOT_FOUND) => BrokerError::Refused(format!("{what}: {error}; `topology: declare` lets tagmill create it")),
        _ => BrokerError::Unavailable(format!("{what}: {error}")),
    }
}

/// The answer of the broker, or why there is none.
pub async fn answered<T>(what: &str, asked: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
    waited(what, asked).await?.map_err(|error| told(&error, what))
}

/// The same for a caller who tells one error from another.
pub async fn waited<T>(
    what: &str,
    asked: impl Future<Output = lapin::Result<T>>,
) -> Result<lapin::Result<T>, BrokerError> {
    let late = |_| BrokerError::Unavailable(format!("{what}: the broker did not answer in {PATIENCE:?}"));
    tokio::time::timeout(PATIENCE, asked).await.map_err(late)
}
