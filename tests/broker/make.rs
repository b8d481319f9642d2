//! Jobs, receipts and dead letters to work with.

use std::{future::Future, time::Duration};
use tagmill::{
    broker::{Broker, Delivery, Feed},
    job::{DeadLetter, Extras, ItemFailure, Job, JobId, LaneName, Receipt, Resource, VERSION, stable_id},
};

pub fn lane(name: &str) -> LaneName {
    LaneName::new(name).unwrap()
}

pub fn job(lane_name: &str, id: &str, resources: &[&str]) -> Job {
    Job {
        id: JobId::new(id).unwrap(),
        lane: lane(lane_name),
        resources: resources.iter().map(|id| Resource::plain(id)).collect(),
        set: [("env".into(), "prod".into()), ("owner".into(), "alice".into())].into(),
        unset: ["temp".into()].into(),
        extras: Extras::none(),
    }
}

pub fn bytes(job: &Job) -> Vec<u8> {
    serde_json::to_vec(job).unwrap()
}

/// Enough of a parser for these tests.
pub fn read_job(body: &[u8]) -> Option<Job> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let resources: Vec<Resource> = serde_json::from_value(value.get("resources")?.clone()).ok()?;
    let mut read = job(value["lane"].as_str()?, value["id"].as_str()?, &[]);
    read.resources = resources;
    Some(read)
}

pub fn failure(resource: &str, code: &str) -> ItemFailure {
    ItemFailure {
        resource: Resource::plain(resource),
        code: code.into(),
        message: format!("{resource} could not be tagged"),
        request_id: Some("req-1".into()),
        attempts: 3,
        applied_keys: vec!["env".into()],
        line: Some(7),
    }
}

/// The dead letter of these resources of a job.
pub fn dead_letter(of: &Job, failed: &[&str], code: &str) -> DeadLetter {
    let mut job = of.clone();
    job.resources.retain(|resource| failed.contains(&&*resource.id));
    DeadLetter {
        version: VERSION,
        id: stable_id(of, "0"),
        failures: job.resources.iter().map(|resource| failure(&resource.id, code)).collect(),
        replay: of.extras.replay.clone(),
        job,
    }
}

/// The receipt of a job: so many dead, the others tagged.
pub fn receipt(of: &Job, dead: u64) -> Receipt {
    let accepted = of.resources.len() as u64;
    Receipt {
        version: VERSION,
        id: stable_id(of, "receipt"),
        job: of.id.clone(),
        lane: of.lane.clone(),
        batch: None,
        accepted,
        tagged: accepted - dead,
        superseded: 0,
        unchanged: 0,
        dead,
        calls: 1,
        retries: 0,
        first_attempt: None,
        last_attempt: None,
        finished_at: jiff::Timestamp::UNIX_EPOCH,
        duration_ms: 0,
        trace: None,
    }
}

/// Waits for what must come, and says so when it does not.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it should have come within 30 seconds")
}

/// So many deliveries, in the order in which they come.
pub async fn take(feed: &mut impl Feed, count: usize) -> Vec<Delivery> {
    let mut got = Vec::new();
    while got.len() < count {
        got.extend(soon(feed.next(count - got.len())).await.unwrap());
    }
    got
}

/// Their bodies as text.
pub fn bodies(deliveries: &[Delivery]) -> Vec<String> {
    deliveries.iter().map(|delivery| String::from_utf8_lossy(&delivery.body).into_owned()).collect()
}

/// A new owner of a lane, and so many deliveries. Their tickets are worth something as long as the feed is there.
pub async fn open<B: Broker>(broker: &B, name: &str, most: usize) -> (B::Feed, Vec<Delivery>) {
    let mut feed = soon(broker.open_lane(&lane(name))).await.unwrap();
    let got = take(&mut feed, most).await;
    (feed, got)
}

/// All that a lane hands over to a new owner, up to `most`; the owner goes again.
pub async fn head(broker: &impl Broker, name: &str, most: usize) -> Vec<Delivery> {
    open(broker, name, most).await.1
}
