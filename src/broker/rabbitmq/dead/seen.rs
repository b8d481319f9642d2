//! A message from one of the queues with dead letters, and what is worth knowing of it.

use super::reading::Place;
use crate::{
    broker::{
        DeadEntry,
        dead::LISTED_MESSAGE,
        rabbitmq::{message::trace, names::Names},
    },
    job::{JobId, LaneName, stable_hash},
};
use jiff::Timestamp;
use lapin::{
    message::Delivery,
    types::{AMQPValue, FieldTable},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::{
    borrow::Cow,
    fmt::{Display, Write as _},
};

/// Why a message is dead that never was a job to a worker. Workers use the first one too.
pub(in crate::broker::rabbitmq) const UNKNOWN_LANE: &str = "unknown_lane";
const DELIVERY_LIMIT: &str = "delivery_limit";
const UNROUTED: &str = "unrouted";
const UNREADABLE: &str = "unreadable";

/// A message as the index keeps it.
pub(super) struct Seen {
    pub(super) entry: DeadEntry,
    /// Tells it from others with the same id. A job that was handed out twice leaves two letters that may differ in
    /// what failed, so what failed is not part of it.
    pub(super) print: String,
}

#[derive(Deserialize)]
struct Letter<'a> {
    id: String,
    job: Job,
    #[serde(borrow)]
    failures: Vec<Failure<'a>>,
}

#[derive(Deserialize)]
struct Job {
    id: JobId,
    lane: LaneName,
    resources: Vec<IgnoredAny>,
    #[serde(default)]
    set: Value,
    #[serde(default)]
    unset: Value,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    batch: Value,
    #[serde(default)]
    created_at: Value,
    #[serde(default)]
    replay: Value,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    message: Cow<'a, str>,
    #[serde(default)]
    line: Option<u64>,
}

/// What is read of a message that may be a job.
#[derive(Default, Deserialize)]
struct Glimpse {
    #[serde(default)]
    id: Option<JobId>,
    #[serde(default)]
    resources: Vec<IgnoredAny>,
}

/// Looks at a message. `now` stands for a time that nobody has written down.
pub(super) fn look(names: &Names, place: Place, delivery: &Delivery, now: Timestamp) -> Seen {
    let written = header(delivery, "tagmill-code");
    // A dead letter whose queue somebody has deleted is caught with what has no queue.
    let is_letter = place == Place::Dead || (place == Place::Unrouted && *delivery.exchange.as_str() == **names.dead());
    let at = published_at(delivery);
    match (is_letter, written) {
        (true, None) => match serde_json::from_slice(&delivery.data) {
            Ok(letter) => of_job(delivery, letter, at.unwrap_or(now)),
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                let message = format!("this is no dead letter of tagmill ({place}); who has published it?");
                raw(delivery, UNREADABLE, &message, lane_of_key(delivery), at.unwrap_or(now))
            }
        },
        (true, Some(code)) => {
            let message = header(delivery, "tagmill-message").unwrap_or_default();
            let lane = header(delivery, "tagmill-lane").and_then(|name| LaneName::new(&name).ok());
            raw(delivery, &code, &message, lane, at.unwrap_or(now))
        }
        (false, _) if place == Place::Poison => poison(names, delivery, now),
        (false, _) => {
            let lane = lane_of_key(delivery);
            let key = delivery.routing_key.as_str();
            let (code, message) =
                if [names.jobs(), names.urgent()].iter().any(|jobs| *delivery.exchange.as_str() == ***jobs) {
                    (UNKNOWN_LANE, unknown_lane(key))
                } else {
                    (UNROUTED, format!("exchange {} has no queue for it (routing key {key})", delivery.exchange))
                };
            raw(delivery, code, &message, lane, at.unwrap_or(now))
        }
    }
}

/// What is said of a job for a lane that has no queue.
pub(in crate::broker::rabbitmq) fn unknown_lane(lane: &(impl Display + ?Sized)) -> String {
    format!("no worker has ever had a lane {lane}: add it to the config of a worker, then `tagmill dlq replay`")
}

fn of_job(delivery: &Delivery, letter: Letter<'_>, recorded_at: Timestamp) -> Seen {
    let Letter { id, job, failures } = letter;
    let mut codes: Vec<String> = Vec::new();
    for failure in &failures {
        if !codes.iter().any(|code| *code == failure.code) {
            codes.push(failure.code.clone().into_owned());
        }
    }
    let first = failures.first();
    let source = job.source.clone().unwrap_or_default();
    let parts = [job.set, job.unset, job.batch, job.created_at, job.replay].map(|part| part.to_string());
    let [set, unset, batch, created_at, replay] = parts.each_ref().map(String::as_str);
    let print = [job.lane.as_str(), job.id.as_str(), set, unset, &source, batch, created_at, replay];
    Seen {
        print: stable_hash(&print),
        entry: DeadEntry {
            id: message_id(delivery).unwrap_or(id),
            lane: Some(job.lane),
            job: Some(job.id),
            items: job.resources.len() as u64,
            codes,
            message: listed(first.map_or("", |first| &first.message)),
            recorded_at,
            raw: false,
            source: job.source,
            line: first.and_then(|first| first.line),
            run: 0,
            trace: trace(delivery.properties.headers().as_ref()),
        },
    }
}

fn poison(names: &Names, delivery: &Delivery, now: Timestamp) -> Seen {
    let death = last_death(delivery);
    let queue = death.and_then(|death| text(death, "queue"));
    let queue = queue.or_else(|| header(delivery, "x-first-death-queue"));
    let queue = queue.as_deref().unwrap_or("a lane");
    let died_at = death.and_then(|death| match death.inner().get("time") {
        Some(AMQPValue::Timestamp(at)) => Timestamp::from_second(i64::try_from(*at).ok()?).ok(),
        _ => None,
    });
    let message = format!(
        "it was handed out too often by queue {queue} without coming to an end: a worker may die of it; replay it \
         alone and watch, or discard it"
    );
    let lane = names.lane_of(queue).or_else(|| lane_of_key(delivery));
    raw(delivery, DELIVERY_LIMIT, &message, lane, died_at.or_else(|| published_at(delivery)).unwrap_or(now))
}

fn raw(delivery: &Delivery, code: &str, message: &str, lane: Option<LaneName>, recorded_at: Timestamp) -> Seen {
    let hash = digest(&delivery.data);
    let may_be_a_job = matches!(code, UNKNOWN_LANE | DELIVERY_LIMIT);
    let glimpse: Glimpse =
        if may_be_a_job { serde_json::from_slice(&delivery.data).unwrap_or_default() } else { Glimpse::default() };
    Seen {
        print: stable_hash(&["raw", code, &hash]),
        entry: DeadEntry {
            id: message_id(delivery).unwrap_or(hash),
            lane,
            job: glimpse.id,
            items: glimpse.resources.len().max(1) as u64,
            codes: vec![code.to_owned()],
            message: listed(message),
            recorded_at,
            raw: true,
            source: header(delivery, "tagmill-source").map(Cow::into_owned),
            line: header(delivery, "tagmill-line").and_then(|line| line.parse().ok()),
            run: 0,
            trace: trace(delivery.properties.headers().as_ref()),
        },
    }
}

/// The name of bytes that have none, the same wherever they are met.
pub(in crate::broker::rabbitmq) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn listed(message: &str) -> String {
    message.chars().take(LISTED_MESSAGE).collect()
}

fn lane_of_key(delivery: &Delivery) -> Option<LaneName> {
    LaneName::new(delivery.routing_key.as_str()).ok()
}

fn message_id(delivery: &Delivery) -> Option<String> {
    let id = delivery.properties.message_id().as_ref()?.as_str();
    (!id.is_empty()).then(|| id.to_owned())
}

pub(super) fn published_at(delivery: &Delivery) -> Option<Timestamp> {
    let at = i64::try_from((*delivery.properties.timestamp())?).ok()?;
    Timestamp::from_second(at).ok()
}

fn header<'d>(delivery: &'d Delivery, name: &str) -> Option<Cow<'d, str>> {
    text(delivery.properties.headers().as_ref()?, name)
}

fn text<'t>(table: &'t FieldTable, name: &str) -> Option<Cow<'t, str>> {
    match table.inner().get(name)? {
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes())),
        AMQPValue::ShortString(text) => Some(Cow::Borrowed(text.as_str())),
        AMQPValue::LongLongInt(number) => Some(Cow::Owned(number.to_string())),
        AMQPValue::LongInt(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

fn last_death(delivery: &Delivery) -> Option<&FieldTable> {
    let AMQPValue::FieldArray(deaths) = delivery.properties.headers().as_ref()?.inner().get("x-death")? else {
        return None;
    };
    match deaths.as_slice().first()? {
        AMQPValue::FieldTable(death) => Some(death),
        _ => None,
    }
}
