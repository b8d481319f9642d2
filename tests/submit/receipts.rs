//! Receipts as workers publish them, for jobs that no worker has seen.

use crate::fleet::Fleet;
use jiff::Timestamp;
use tagmill::{
    broker::rabbitmq::{
        Message, Publisher,
        names::{Names, receipt_key},
    },
    job::{Job, Receipt, stable_id},
};

/// The receipt of a job whose first `dead` items have failed.
pub fn receipt(job: &Job, dead: u64, finished: i64) -> Receipt {
    let accepted = job.resources.len() as u64;
    let text = serde_json::json!({
        "version": 1, "id": stable_id(job, "receipt"), "job": job.id, "lane": job.lane,
        "batch": job.extras.batch, "accepted": accepted, "tagged": accepted - dead, "superseded": 0, "unchanged": 0,
        "dead": dead, "calls": 2, "retries": 1, "finished_at": Timestamp::from_second(finished).unwrap(),
    });
    serde_json::from_value(text).unwrap()
}

/// The same as a message.
fn message(names: &Names, receipt: &Receipt) -> Message {
    let key = receipt_key(&receipt.lane, receipt.batch.as_deref(), &receipt.job);
    Message::json(names.receipts(), key, receipt.id.clone(), serde_json::to_vec(receipt).unwrap())
}

impl Fleet {
    /// Publishes them in this order, and waits until the broker has them.
    pub fn publish(&self, publisher: &Publisher, receipts: impl IntoIterator<Item = Receipt>) {
        let messages = receipts.into_iter().map(|receipt| message(&self.names, &receipt)).collect();
        self.runtime.block_on(publisher.publish(messages)).unwrap();
    }
}
