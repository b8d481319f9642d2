//! Messages to the broker within a time that a sender waits: confirmed, or a clear "not now".

use super::{problem::Problem, state::State};
use crate::broker::{
    BrokerError,
    rabbitmq::{LinkState, Message},
};
use std::time::Duration;

/// How long a confirm may take. EventBridge of AWS waits five seconds for an answer in all.
const PATIENCE: Duration = Duration::from_secs(4);
/// When to come again while the broker is away.
const AGAIN: Duration = Duration::from_secs(5);

/// Publishes these, all or nothing as far as the sender may count on it. After a problem some of them may have arrived
/// all the same, or arrive later: sent again they have the same ids, and do the same.
pub(super) async fn confirmed(state: &State, messages: Vec<Message>) -> Result<(), Problem> {
    if messages.is_empty() {
        return Ok(());
    }
    let not_now = |why: String| Problem::unavailable(why, AGAIN);
    match &*state.publisher.state().borrow() {
        LinkState::Up => {}
        LinkState::Blocked(why) => return Err(not_now(format!("the broker takes no messages for now: {why}"))),
        // The reason names a host: it is for the log, not for whoever sends.
        LinkState::Lost(_) => return Err(not_now("the broker is not there".into())),
    }
    if !*state.at_home.borrow() {
        return Err(not_now("the lanes have no queues yet".into()));
    }
    match tokio::time::timeout(PATIENCE, state.publisher.publish(messages)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error @ BrokerError::Refused(_))) => {
            tracing::error!(%error, "the broker refuses what was handed in");
            Err(not_now("the broker refuses it; the log of the server says why".into()))
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was handed in could not be published");
            Err(not_now("the broker is not there".into()))
        }
        Err(_) => Err(not_now("the broker has not confirmed it in time".into())),
    }
}
