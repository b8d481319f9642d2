//! From headers and bytes to events: which form it is, and the bounds that hold for every one.

use super::{
    Event, Source, alibaba, aws, cloudevents,
    envelope::{self, Envelope, Facts, event},
    huawei,
};
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Bytes of one message at most, an event or a batch of them. EventBridge of AWS sends up to 256 KB, Huawei Cloud and
/// Alibaba Cloud up to 64 KB an event.
pub const EVENT_BYTES: usize = 1 << 20;
/// Events of one batch at most.
pub const EVENTS_AT_ONCE: usize = 1_000;

/// Why a message holds no event that can be read. It will never hold one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is larger than any event.
    #[error("{0} bytes; an event or a batch has at most {EVENT_BYTES}")]
    TooLarge(usize),
    /// It is a batch of too many.
    #[error("a batch of more than {EVENTS_AT_ONCE} events")]
    TooMany,
    /// It is no JSON, or more than anybody should have to read.
    #[error("not JSON that is read here: {0}")]
    Json(String),
    /// It is JSON and no event; which one of a batch, and why.
    #[error("{}{why}", place(*index))]
    NoEvent {
        /// Its place in a batch.
        index: Option<usize>,
        /// What is wrong.
        why: String,
    },
}

fn place(index: Option<usize>) -> String {
    index.map(|index| format!("event {index}: ")).unwrap_or_default()
}

/// Reads the events of a message: CloudEvents in every form, or the cloud's own envelope, one or an array of them.
pub fn read(source: Source, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<Event>, Unreadable> {
    if body.len() > EVENT_BYTES {
        return Err(Unreadable::TooLarge(body.len()));
    }
    let no_event = |why: String| Unreadable::NoEvent { index: None, why };
    if let Some(envelope) = cloudevents::binary(headers) {
        let envelope = envelope.map_err(no_event)?;
        let data = json(body)?;
        return Ok(vec![interpret(source, &envelope, data).map_err(no_event)?]);
    }
    let kind = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, kind)| *kind);
    let is_batch = kind.is_some_and(|kind| kind.trim_start().starts_with("application/cloudevents-batch+json"));
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        if is_batch {
            return Err(no_event("a batch is an array".into()));
        }
        return Ok(vec![one(source, json(body)?).map_err(no_event)?]);
    }
    let values = array(body)?;
    let read = values
        .into_iter()
        .enumerate()
        .map(|(index, value)| one(source, value).map_err(|why| Unreadable::NoEvent { index: Some(index), why }));
    read.collect()
}

fn json(body: &[u8]) -> Result<Value, Unreadable> {
    envelope::json(body).map_err(Unreadable::Json)
}

/// An array, given up at the first event too many: what is behind it is not even looked at.
fn array(body: &[u8]) -> Result<Vec<Value>, Unreadable> {
    struct Bounded;
    impl<'de> Visitor<'de> for Bounded {
        type Value = Option<Vec<Value>>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of events")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while let Some(value) = events.next_element()? {
                if values.len() == EVENTS_AT_ONCE {
                    return Ok(None);
                }
                values.push(value);
            }
            Ok(Some(values))
        }
    }
    envelope::few(body).map_err(Unreadable::Json)?;
    let mut reading = serde_json::Deserializer::from_slice(body);
    match reading.deserialize_seq(Bounded) {
        Ok(Some(values)) => match reading.end() {
            Ok(()) => Ok(values),
            Err(error) => Err(Unreadable::Json(error.to_string())),
        },
        Ok(None) => Err(Unreadable::TooMany),
        // The reader complains of what is left when the visitor stops early.
        Err(error) if error.is_syntax() && error.to_string().starts_with("trailing characters") => {
            Err(Unreadable::TooMany)
        }
        Err(error) => Err(Unreadable::Json(error.to_string())),
    }
}

fn one(source: Source, value: Value) -> Result<Event, String> {
    if cloudevents::is_structured(&value) {
        let (envelope, data) = cloudevents::structured(value)?;
        return interpret(source, &envelope, data);
    }
    match source {
        Source::Aws | Source::Huawei => interpret(source, &Envelope::default(), value),
        Source::Alibaba | Source::CloudEvents => Err("it is no CloudEvent: `specversion` is missing".into()),
    }
}

fn interpret(source: Source, envelope: &Envelope, data: Value) -> Result<Event, String> {
    match source {
        Source::Aws => aws::read(envelope, data),
        Source::Alibaba => alibaba::read(envelope, data),
        Source::Huawei => huawei::read(envelope, data),
        Source::CloudEvents => {
            let facts = Facts {
                id: envelope.id.clone(),
                source: envelope.source.clone(),
                name: envelope.kind.clone(),
                time: envelope.time,
                account: envelope.more("account"),
                region: envelope.more("region"),
                project: envelope.more("project"),
                creator: envelope.more("creator"),
                ..Facts::default()
            };
            event(source, facts, data)
        }
    }
}
