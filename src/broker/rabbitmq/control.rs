//! A worker's ear: standing orders as they change, and questions from whoever asks how it is.

mod ask;
mod report;

pub use ask::Asker;
pub use report::{LaneCounts, LaneReport, LaneState, WorkerReport};

use super::{
    fault::{answered, told},
    link::Link,
    message::Message,
    names::Names,
    orders,
    own::Own,
    topology::short,
};
use crate::broker::{BrokerError, Orders};
use futures_core::Stream as _;
use lapin::{
    Consumer,
    message::Delivery,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use serde::{Deserialize, Serialize};
use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{Notify, mpsc, watch};

/// How often the orders are read without any news of them.
const LOOK: Duration = Duration::from_secs(30);
/// Wait after something failed while the connection is up.
const AGAIN: Duration = Duration::from_secs(1);

/// What travels on the exchange for questions and news.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Words {
    /// `{"ask": "status"}`
    Ask {
        /// What is asked.
        ask: String,
    },
    /// `{"tell": "orders"}`
    Tell {
        /// What has changed.
        tell: String,
    },
}

/// An answer on its way back.
#[derive(Serialize, Deserialize)]
struct Answer<R> {
    /// The question.
    to: String,
    report: R,
}

/// Somebody asks how the worker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    exchange: Arc<str>,
    reply_to: String,
    correlation: String,
}

impl Question {
    /// The answer, to be published by a connection that publishes. Where the asker has gone, it goes nowhere.
    pub fn answer(&self, report: &WorkerReport) -> Message {
        let answer = Answer { to: self.correlation.clone(), report };
        // A report always has a form.
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let id = format!("{}-{}", report.worker, self.correlation);
        Message::json(&self.exchange, self.reply_to.clone(), id, body).for_whoever_is_there()
    }

    fn read(names: &Names, delivery: &Delivery) -> Option<Self> {
        let reply_to = delivery.properties.reply_to().as_ref()?.as_str();
        // Whoever may publish questions must not make workers write into other queues.
        names.is_answer_queue(reply_to).then(|| Self {
            exchange: names.direct().clone(),
            reply_to: reply_to.to_owned(),
            correlation: delivery.properties.correlation_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        })
    }
}

/// Keeps `orders` as they stand and passes questions on, until the connection is lost. An error is one that no other try
/// will change.
///
/// The orders are read at the start, at every piece of news, and every 30 s. They never go back: when somebody has
/// emptied the queue, what was ordered before stays in force here until the worker ends. A question that nobody takes
/// at once is dropped, the asker does not wait for long.
pub async fn serve(
    link: &Link,
    worker: &str,
    orders: &watch::Sender<Arc<Orders>>,
    questions: &mpsc::Sender<Question>,
) -> Result<(), BrokerError> {
    let news = Notify::new();
    news.notify_one();
    tokio::select! {
        why = link.lost() => {
            tracing::debug!(%why, "the connection is lost, and questions and news with it");
            Ok(())
        }
        error = listen(link, worker, &news, questions) => Err(error),
        error = keep(link, orders, &news) => Err(error),
    }
}

/// Reads the orders at every piece of news; ends with an error that is final.
async fn keep(link: &Link, orders: &watch::Sender<Arc<Orders>>, news: &Notify) -> BrokerError {
    loop {
        let _ = tokio::time::timeout(LOOK, news.notified()).await;
        match orders::read(link).await {
            Ok(read) => {
                orders.send_if_modified(|known| {
                    let mut merged = Orders::clone(known);
                    if read.revision < known.revision {
                        let (read, known) = (read.revision, known.revision);
                        tracing::warn!(read, known, "the standing orders have gone back; the known ones stay in force");
                    }
                    merged.merge(read);
                    let is_new = merged != **known;
                    if is_new {
                        *known = Arc::new(merged);
                    }
                    is_new
                });
            }
            Err(error @ BrokerError::Refused(_)) => return error,
            Err(error) => {
                tracing::warn!(%error, "the standing orders cannot be read; the known ones stay in force");
                tokio::time::sleep(AGAIN).await;
                news.notify_one();
            }
        }
    }
}

/// Hears questions and news; ends with an error that is final.
async fn listen(link: &Link, worker: &str, news: &Notify, questions: &mpsc::Sender<Question>) -> BrokerError {
    loop {
        match hear(link, worker, news, questions).await {
            error @ BrokerError::Refused(_) => return error,
            error if link.is_up() => tracing::warn!(%error, "questions and news are not heard for a moment"),
            // The loss of the connection is told elsewhere.
            _ => {}
        }
        tokio::time::sleep(AGAIN).await;
        // Something may have changed meanwhile.
        news.notify_one();
    }
}

async fn hear(link: &Link, worker: &str, news: &Notify, questions: &mpsc::Sender<Question>) -> BrokerError {
    let (channel, mut consumer) = match subscribe(link, worker).await {
        Ok(subscribed) => subscribed,
        Err(error) => return error,
    };
    loop {
        let delivery = match poll_fn(|cx| Pin::new(&mut consumer).poll_next(cx)).await {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return told(&error, "hearing questions and news"),
            None => {
                channel.close().await;
                return BrokerError::Unavailable("the worker's queue for questions and news is gone".into());
            }
        };
        match serde_json::from_slice(&delivery.data) {
            Ok(Words::Tell { tell }) if tell == "orders" => news.notify_one(),
            Ok(Words::Ask { ask }) if ask == "status" => {
                if let Some(question) = Question::read(link.names(), &delivery) {
                    let _ = questions.try_send(question);
                }
            }
            // Words of a newer version.
            _ => {}
        }
    }
}

async fn subscribe(link: &Link, worker: &str) -> Result<(Own, Consumer), BrokerError> {
    let channel = Own::open(link).await?;
    let queue = link.names().worker_queue(worker);
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let none = FieldTable::default;
    let what = format!("declaring queue {queue} (each worker needs a name of its own)");
    answered(&what, channel.queue_declare(short(&queue)?, own, none())).await?;
    let binding = channel.queue_bind(
        short(&queue)?,
        short(link.names().control())?,
        "".into(),
        QueueBindOptions::default(),
        none(),
    );
    answered(&format!("binding queue {queue}"), binding).await?;
    let unacked = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
    let consuming = channel.basic_consume(short(&queue)?, short(worker)?, unacked, none());
    let consumer = answered(&format!("consuming from queue {queue}"), consuming).await?;
    Ok((channel, consumer))
}
