//! Asking all workers at once, and waiting for those that answer.

use super::{Answer, Words, report::WorkerReport};
use crate::{
    broker::{
        BrokerError,
        rabbitmq::{
            fault::{NOT_FOUND, answered, code, told, waited},
            link::Link,
            names::Names,
            topology::{close, short},
        },
    },
    worker::clock,
};
use futures_core::Stream as _;
use lapin::{
    BasicProperties, Channel, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use std::{future::poll_fn, pin::Pin, time::Duration};
use tokio::time::Instant;

/// Wait for the others once enough have answered.
const GRACE: Duration = Duration::from_millis(100);

/// Answers of one worker after another, to one question or to many.
#[derive(Debug)]
pub struct Asker {
    channel: Channel,
    answers: Consumer,
    queue: String,
    names: Names,
    asked: u64,
}

impl Asker {
    /// Somebody who can ask on this connection. `None` where there is no fleet at all: nobody has made its exchanges.
    pub async fn new(link: &Link) -> Result<Option<Self>, BrokerError> {
        let channel = link.channel().await?;
        let names = link.names().clone();
        let queue = names.answer_queue(&clock::nonce());
        let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let none = FieldTable::default;
        answered("declaring a queue for answers", channel.queue_declare(short(&queue)?, own, none())).await?;
        let (exchange, key) = (short(names.direct())?, short(&queue)?);
        let binding = channel.queue_bind(short(&queue)?, exchange, key, QueueBindOptions::default(), none());
        match waited("binding a queue for answers", binding).await? {
            Err(error) if code(&error) == Some(NOT_FOUND) => return Ok(None),
            bound => bound.map_err(|error| told(&error, "binding a queue for answers"))?,
        }
        let unacked = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
        let consuming = channel.basic_consume(short(&queue)?, "answers".into(), unacked, none());
        let answers = answered("waiting for answers", consuming).await?;
        Ok(Some(Self { channel, answers, queue, names, asked: 0 }))
    }

    /// Asks every worker how it is, and collects the answers for so long, or until a moment after `enough` says so.
    pub async fn status(
        &mut self,
        patience: Duration,
        mut enough: impl FnMut(&[WorkerReport]) -> bool,
    ) -> Result<Vec<WorkerReport>, BrokerError> {
        self.asked += 1;
        let question = self.asked.to_string();
        let body = serde_json::to_vec(&Words::Ask { ask: "status".into() }).unwrap_or_default();
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_reply_to(short(&self.queue)?)
            .with_correlation_id(short(&question)?);
        let options = BasicPublishOptions::default();
        let asking = self.channel.basic_publish(short(self.names.control())?, "".into(), options, &body, properties);
        answered("asking the workers", asking).await?;
        let (mut reports, mut end, mut is_enough) = (Vec::<WorkerReport>::new(), Instant::now() + patience, false);
        loop {
            if !is_enough && enough(&reports) {
                is_enough = true;
                end = end.min(Instant::now() + GRACE);
            }
            let next = poll_fn(|cx| Pin::new(&mut self.answers).poll_next(cx));
            let delivery = match tokio::time::timeout_at(end, next).await {
                Ok(Some(Ok(delivery))) => delivery,
                Ok(Some(Err(error))) => return Err(told(&error, "asking the workers")),
                Ok(None) => return Err(BrokerError::Unavailable("the queue for answers is gone".into())),
                Err(_) => break,
            };
            // What is no answer, or one to an earlier question, is of no use.
            let Ok(answer) = serde_json::from_slice::<Answer<WorkerReport>>(&delivery.data) else { continue };
            if answer.to == question && !reports.iter().any(|known| known.worker == answer.report.worker) {
                reports.push(answer.report);
            }
        }
        reports.sort_by(|one, other| one.worker.cmp(&other.worker));
        Ok(reports)
    }

    /// Ends it.
    pub async fn close(self) {
        close(&self.channel).await;
    }
}
