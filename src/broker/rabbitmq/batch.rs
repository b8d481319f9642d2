//! A batch: the queue that collects its receipts, the notes about its submission beside them, and its messages.

use super::{
    commit::{CODE, LANE, LINE, REASON, SOURCE},
    fault::answered,
    link::Link,
    lock::Lock,
    message::Message,
    names::{self, Names},
    topology::{self, short},
};
use crate::{
    broker::{BrokerError, Orders, RawDeadLetter},
    job::{Job, LaneName, Trace, stable_hash},
};
use jiff::Timestamp;
use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// How long the queue of a batch is kept while nobody looks: seven days, in milliseconds.
const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// The routing key of a dead letter whose lane could not be read.
const NO_LANE: &str = "-";
/// Header of a bad row: its batch.
const BATCH: &str = "tagmill-batch";

/// How much was sent, from the start of the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Jobs.
    pub jobs: u64,
    /// Their items.
    pub items: u64,
    /// Rows that are no jobs, sent as dead letters.
    pub bad: u64,
}

/// What the files of a batch hold for one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Jobs.
    pub jobs: u64,
    /// Their items.
    pub items: u64,
}

/// What a batch is, noted before the first of its jobs is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its id.
    pub batch: String,
    /// Names of its files.
    pub files: String,
    /// The same for the same files read with the same options.
    pub digest: String,
    /// The same where the config makes the same jobs of them.
    pub plan: String,
    /// The `created_at` of its jobs: a job that is sent again later must not look newer.
    pub created_at: Timestamp,
    /// Everything that will be sent.
    #[serde(flatten)]
    pub all: Sent,
    /// The same, lane by lane.
    pub lanes: BTreeMap<LaneName, Share>,
}

/// What the submitter writes into the batch's own queue, for whoever goes on after it and for whoever watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "lowercase")]
pub enum Note {
    /// Nothing was sent before this.
    Begun(Begun),
    /// So much was confirmed by the broker.
    Published(Sent),
    /// There is no more.
    Complete(Sent),
}

/// One batch, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: String,
    queue: String,
    names: Names,
}

impl Batch {
    /// The batch of that id, whether it exists or not.
    pub fn new(id: &str, names: &Names) -> Self {
        Self { id: id.to_owned(), queue: names.watch_queue(id), names: names.clone() }
    }

    /// The queue of its receipts and notes.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// Makes the queue where it is not there yet, so that no receipt can come before it.
    pub async fn declare(&self, link: &Link) -> Result<(), BrokerError> {
        let channel = link.channel().await?;
        let mut arguments = topology::quorum();
        arguments.insert("x-expires".into(), AMQPValue::LongLongInt(KEPT_MS));
        let name = short(&self.queue)?;
        let declared = channel.queue_declare(name.clone(), QueueDeclareOptions::durable(), arguments);
        answered(&format!("declaring queue {}", self.queue), declared).await?;
        let bindings =
            [(self.names.receipts(), names::batch_binding(&self.id)), (self.names.direct(), self.queue.clone())];
        for (exchange, key) in bindings {
            let options = QueueBindOptions::default();
            let bound =
                channel.queue_bind(name.clone(), short(exchange)?, short(&key)?, options, FieldTable::default());
            answered(&format!("binding queue {}", self.queue), bound).await?;
        }
        topology::close(&channel).await;
        Ok(())
    }

    /// Removes the queue and what is left in it.
    pub async fn delete(&self, link: &Link) -> Result<(), BrokerError> {
        let channel = link.channel().await?;
        let deleted = channel.queue_delete(short(&self.queue)?, QueueDeleteOptions::default());
        answered(&format!("deleting queue {}", self.queue), deleted).await?;
        topology::close(&channel).await;
        Ok(())
    }

    /// The right to send its jobs, waiting for it for so long. `None`: another process has it.
    pub async fn lock_submit(&self, link: &Link, patience: Duration) -> Result<Option<Lock>, BrokerError> {
        self.lock(link, "submit", patience).await
    }

    /// The right to read its queue, waiting for it for so long. `None`: another process has it.
    pub async fn lock_watch(&self, link: &Link, patience: Duration) -> Result<Option<Lock>, BrokerError> {
        self.lock(link, "watch", patience).await
    }

    async fn lock(&self, link: &Link, what: &str, patience: Duration) -> Result<Option<Lock>, BrokerError> {
        let name = format!("{what}.{}", stable_hash(&["batch", &self.id]));
        match Lock::take_within(link, &name, patience).await {
            Ok(lock) => Ok(Some(lock)),
            Err(BrokerError::InUse(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A note, on its way into the queue.
    pub fn note(&self, note: &Note) -> Message {
        let (kind, sent) = match note {
            Note::Begun(begun) => ("begun", begun.all),
            Note::Published(sent) => ("published", *sent),
            Note::Complete(sent) => ("complete", *sent),
        };
        let id = stable_hash(&["note", &self.id, kind, &sent.jobs.to_string(), &sent.bad.to_string()]);
        // Numbers, names and times always have a JSON form.
        let body = serde_json::to_vec(note).unwrap_or_default();
        Message::json(self.names.direct(), self.queue.clone(), id, body)
    }

    /// A row that is no job, on its way to the dead letters. `made` is the time of the batch.
    pub fn bad(&self, bad: &RawDeadLetter, made: Timestamp) -> Message {
        let key = bad.lane.as_ref().map_or(NO_LANE, LaneName::as_str).to_owned();
        let mut message = Message::json(self.names.dead(), key, bad.id.clone(), bad.body.clone())
            .with_header(CODE, &bad.code)
            .with_header(REASON, &bad.message)
            .with_header(BATCH, &self.id);
        message.content_type = "application/octet-stream";
        message.timestamp = u64::try_from(made.as_second()).ok();
        if let Some(lane) = &bad.lane {
            message = message.with_header(LANE, lane.as_str());
        }
        if let Some(source) = &bad.source {
            message = message.with_header(SOURCE, source);
        }
        if let Some(line) = bad.line {
            message = message.with_header(LINE, &line.to_string());
        }
        message
    }

    /// A job, on its way to its lane. `body` is the job as JSON.
    pub fn job(&self, job: &Job, body: Vec<u8>, trace: Option<&Trace>) -> Message {
        message(&self.names, job, body, trace)
    }
}

/// A job, on its way to its lane. `body` is the job as JSON.
pub fn message(names: &Names, job: &Job, body: Vec<u8>, trace: Option<&Trace>) -> Message {
    let (lane, id) = (job.lane.as_str().to_owned(), job.id.as_str().to_owned());
    let mut message = Message::job(names, lane, id, body, job.extras.priority);
    message.timestamp = job.extras.created_at.and_then(|made| u64::try_from(made.as_second()).ok());
    message.with_trace(trace)
}

/// Why a batch must not be submitted again: somebody has cancelled it, and a worker would bury every job of it.
pub fn cancelled(orders: &Orders, batch: &str) -> Option<Timestamp> {
    let is_of = |of: &Option<String>| of.as_deref() == Some(batch);
    orders.cancelled.iter().find(|order| is_of(&order.batch) && order.job.is_none()).map(|order| order.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        broker::CancelOrder,
        job::{Extras, JobId, Priority, Resource},
    };

    fn made() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn a_note_says_what_it_is_and_reads_back_as_the_same() {
        let all = Sent { jobs: 3, items: 9, bad: 1 };
        let begun = Begun {
            batch: "b".into(),
            files: "a.csv".into(),
            digest: "d".into(),
            plan: "p".into(),
            created_at: made(),
            all,
            lanes: [(LaneName::new("l.x").unwrap(), Share { jobs: 3, items: 9 })].into(),
        };
        for (note, start) in [
            (Note::Begun(begun), r#"{"note":"begun","batch":"b""#),
            (Note::Published(all), r#"{"note":"published","jobs":3,"items":9,"bad":1}"#),
            (Note::Complete(all), r#"{"note":"complete""#),
        ] {
            let message = Batch::new("b", &Names::default()).note(&note);
            let text = std::str::from_utf8(&message.body).unwrap();
            assert!(text.starts_with(start), "{text}");
            assert_eq!(serde_json::from_str::<Note>(text).unwrap(), note);
            assert_eq!(message.key, Batch::new("b", &Names::default()).queue());
        }
    }

    #[test]
    fn a_bad_row_travels_byte_for_byte_with_its_reason_beside_it() {
        let bad = RawDeadLetter {
            id: "x".into(),
            lane: None,
            code: "invalid".into(),
            message: "m".repeat(10_000),
            source: Some("a.csv".into()),
            line: Some(7),
            body: b"\xff,\0".to_vec(),
        };
        let message = Batch::new("b", &Names::default()).bad(&bad, made());
        assert_eq!((&*message.body, message.content_type), (&b"\xff,\0"[..], "application/octet-stream"));
        let header = |name: &str| match message.headers.inner().get(name) {
            Some(AMQPValue::LongString(text)) => text.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!((header("tagmill-code"), header("tagmill-line")), ("invalid".into(), "7".into()));
        assert_eq!(header("tagmill-message").len(), 4096);
    }

    #[test]
    fn an_event_goes_to_the_urgent_queue_and_every_job_goes_with_its_time_and_trace() {
        let extras = Extras { priority: Priority::Event, created_at: Some(made()), ..Extras::none() };
        let event = Job {
            id: JobId::new("1").unwrap(),
            lane: LaneName::new("a").unwrap(),
            resources: vec![Resource::plain("r")],
            set: [("k".into(), "v".into())].into(),
            unset: [].into(),
            extras,
        };
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::read(parent, Some("a=1")).unwrap();
        let message = Batch::new("b", &Names::default()).job(&event, Vec::new(), Some(&trace));
        assert_eq!((message.priority, message.timestamp), (9, Some(1_800_000_000)));
        assert_eq!(message.exchange, *Names::default().urgent());
        assert!(["traceparent", "tracestate"].iter().all(|name| message.headers.contains_key(name)));
        let bulk = Job { extras: Extras::none(), ..event };
        let message = Batch::new("b", &Names::default()).job(&bulk, Vec::new(), None);
        assert_eq!((message.priority, message.exchange), (0, Names::default().jobs().clone()));
    }

    #[test]
    fn a_batch_with_an_order_against_all_of_it_is_cancelled() {
        let order = |batch: Option<&str>, job: Option<&str>| CancelOrder {
            lane: None,
            job: job.map(|id| JobId::new(id).unwrap()),
            batch: batch.map(str::to_owned),
            at: made(),
        };
        let orders = |order| Orders { cancelled: vec![order], ..Orders::default() };
        assert_eq!(cancelled(&orders(order(Some("b"), None)), "b"), Some(made()));
        assert_eq!(cancelled(&orders(order(Some("c"), None)), "b"), None);
        assert_eq!(cancelled(&orders(order(None, Some("1"))), "b"), None);
        assert_eq!(cancelled(&orders(order(Some("b"), Some("1"))), "b"), None);
    }
}
