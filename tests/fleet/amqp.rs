//! What any program in any language does: publish a job with a confirm, read receipts. No code of ours in between.

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        QueueDeclareOptions,
    },
    types::FieldTable,
};
use std::{
    collections::{BTreeMap, VecDeque},
    future::poll_fn,
    pin::Pin,
    time::Duration,
};
use tagmill::job::Receipt;

/// A message for one lane.
pub struct Outgoing {
    pub lane: String,
    pub id: String,
    pub body: Vec<u8>,
}

pub async fn connect(url: &str) -> Connection {
    Connection::connect(url, ConnectionProperties::default()).await.unwrap()
}

/// Publishes in order; all of them are safe when it returns.
pub async fn publish(url: &str, messages: impl IntoIterator<Item = Outgoing>) {
    publish_to(url, "tagmill.jobs", messages).await;
}

/// The same to another exchange.
pub async fn publish_to(url: &str, exchange: &str, messages: impl IntoIterator<Item = Outgoing>) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let mut flying = VecDeque::new();
    for Outgoing { lane, id, body } in messages {
        let properties = BasicProperties::default().with_delivery_mode(2).with_message_id(id.into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let sent = channel.basic_publish(exchange.into(), lane.as_str().into(), options, &body, properties).await;
        flying.push_back(sent.unwrap());
        if flying.len() > 500 {
            safe(flying.pop_front().unwrap().await);
        }
    }
    for confirm in flying {
        safe(confirm.await);
    }
    connection.close(200, "bye".into()).await.unwrap();
}

/// Declares a queue as a cloud's event bus would, and puts these into it.
pub async fn to_queue(url: &str, queue: &str, bodies: &[Vec<u8>]) {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    for body in bodies {
        let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        safe(channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap().await);
    }
    connection.close(200, "bye".into()).await.unwrap();
}

/// Messages that wait in a queue.
pub async fn depth(url: &str, queue: &str) -> u32 {
    let connection = connect(url).await;
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions::durable().passive();
    let found = channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count();
    connection.close(200, "bye".into()).await.unwrap();
    found
}

fn safe(confirmation: lapin::Result<Confirmation>) {
    let confirmation = confirmation.unwrap();
    assert!(matches!(confirmation, Confirmation::Ack(None)), "{confirmation:?}");
}

/// Receipts by job; a repeat takes the place of what came before.
pub struct Receipts {
    url: String,
    pub by_job: BTreeMap<String, Receipt>,
    pub repeats: usize,
}

impl Receipts {
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned(), by_job: BTreeMap::new(), repeats: 0 }
    }

    /// Reads until there are receipts of so many jobs. Reconnects: the broker may be killed meanwhile.
    pub async fn wait_for(&mut self, jobs: usize, patience: Duration) {
        let end = tokio::time::Instant::now() + patience;
        while self.by_job.len() < jobs {
            assert!(tokio::time::Instant::now() < end, "{} receipts of {jobs}", self.by_job.len());
            let read = tokio::time::timeout_at(end, self.read(jobs)).await;
            assert!(read.is_ok(), "{} receipts of {jobs}", self.by_job.len());
        }
    }

    async fn read(&mut self, jobs: usize) {
        let Ok(connection) = Connection::connect(&self.url, ConnectionProperties::default()).await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            return;
        };
        let Ok(channel) = connection.create_channel().await else { return };
        // The connection going away ends it; what has not been acked comes again.
        let _ = self.consume(&channel, jobs).await;
        let _ = tokio::time::timeout(Duration::from_secs(5), connection.close(200, "bye".into())).await;
    }

    async fn consume(&mut self, channel: &Channel, jobs: usize) -> lapin::Result<()> {
        channel.basic_qos(500, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let mut consumer =
            channel.basic_consume("tagmill.receipts".into(), "test".into(), options, FieldTable::default()).await?;
        while self.by_job.len() < jobs {
            let next = poll_fn(|cx| futures_core::Stream::poll_next(Pin::new(&mut consumer), cx)).await;
            let Some(delivery) = next else { return Ok(()) };
            let delivery = delivery?;
            let receipt: Receipt = serde_json::from_slice(&delivery.data).unwrap();
            assert!(receipt.adds_up(), "{receipt:?}");
            assert_eq!(delivery.properties.message_id().as_ref().unwrap().as_str(), receipt.id);
            if self.by_job.insert(receipt.job.as_str().to_owned(), receipt).is_some() {
                self.repeats += 1;
            }
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
        }
        channel.close(200, "bye".into()).await
    }

    pub fn sum(&self, number: impl Fn(&Receipt) -> u64) -> u64 {
        self.by_job.values().map(number).sum()
    }
}
