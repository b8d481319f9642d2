//! Raw events from queues of the broker: read, decided, and acked once what follows from them is safe.

use super::{events, problem::Problem, state::State};
use crate::{
    broker::{
        BrokerError,
        rabbitmq::{Link, Message, dead::raw_letter, intake::Intake},
    },
    config::EventQueue,
    event,
    fleet::place::{self, NoFleet},
    worker::clock,
};
use std::{sync::Arc, time::Duration};

/// Wait before a queue that failed is consumed again.
const AGAIN: Duration = Duration::from_secs(5);
/// The same where an event was not safe in time: the broker hands it out again.
const SOON: Duration = Duration::from_secs(1);

/// Why a queue is not consumed at the moment.
#[derive(Debug, thiserror::Error)]
enum Idle {
    #[error(transparent)]
    Config(#[from] NoFleet),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("an event is being taken in twice at this moment")]
    Busy,
}

/// Nobody is told of a problem here: the event stays in its queue.
impl From<Problem> for Idle {
    fn from(_: Problem) -> Self {
        Self::Busy
    }
}

/// Consumes one queue for ever.
pub(super) async fn consume(state: Arc<State>, queue: EventQueue) {
    let mut told = None;
    loop {
        let Err(why) = once(&state, &queue).await;
        let wait = if matches!(why, Idle::Busy) { SOON } else { AGAIN };
        let text = why.to_string();
        if told.as_ref() == Some(&text) {
            tracing::debug!(queue = %queue.queue, why = %text, "events are still not taken from their queue");
        } else {
            tracing::warn!(queue = %queue.queue, why = %text, "events are not taken from their queue for a moment");
            told = Some(text);
        }
        tokio::time::sleep(wait).await;
    }
}

async fn once(state: &State, queue: &EventQueue) -> Result<std::convert::Infallible, Idle> {
    let address = place::address(&state.broker)?.with_names(place::names(&state.broker)?);
    let link = Link::open(&address, "tagmill events").await?;
    let ended = work(state, queue, &link).await;
    link.close().await;
    ended
}

async fn work(state: &State, queue: &EventQueue, link: &Link) -> Result<std::convert::Infallible, Idle> {
    // Who could say that they are there is gone only when the server is.
    let _ = state.at_home.clone().wait_for(|made| *made).await;
    let mut intake = Intake::open(link, &queue.queue).await?;
    tracing::info!(queue = %queue.queue, source = %queue.source, "events are taken from their queue");
    loop {
        let arrived = intake.next().await?;
        let headers: Vec<(&str, &str)> =
            arrived.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let safe = async |messages: Vec<Message>| state.publisher.publish(messages).await.map_err(Idle::Broker);
        match event::read(queue.source, &headers, &arrived.body) {
            Ok(read) => {
                let events: Vec<_> = read.into_iter().map(|event| (event, arrived.body.as_slice())).collect();
                events::hand_on(state, &events, arrived.trace.as_ref(), safe).await?;
            }
            Err(error) => {
                let why = error.to_string();
                tracing::warn!(queue = %queue.queue, %why, "a message is no event; it is dead-lettered");
                let letter = events::unreadable_letter(queue.source, why, arrived.body.clone());
                let letter = raw_letter(&state.names, letter, clock::wall()).with_trace(arrived.trace.as_ref());
                safe(vec![letter]).await?;
            }
        }
        intake.done(arrived.tag).await?;
    }
}
