//! A message as the broker hands it over: who it is, how often it was handed out, and how many items it holds.

use super::message::trace;
use crate::broker::{Delivery, Ticket};
use jiff::Timestamp;
use lapin::{
    message::Delivery as Arrived,
    types::{AMQPValue, FieldTable},
};
use rustc_hash::FxHasher;
use serde::{Deserialize, de::IgnoredAny};
use sha2::{Digest as _, Sha256};
use std::{fmt::Write as _, hash::Hasher as _, sync::Arc};

/// Tells a message from the others of its lane when it comes back.
pub(super) fn print(arrived: &Arrived) -> u64 {
    let mut hash = FxHasher::default();
    if let Some(id) = arrived.properties.message_id() {
        hash.write(id.as_str().as_bytes());
    }
    hash.write(&arrived.data);
    hash.finish()
}

/// How often it was handed out before; never less for an older message of its lane than for a newer one.
pub(super) fn times(arrived: &Arrived) -> u64 {
    let headers = arrived.properties.headers().as_ref();
    // RabbitMQ 4.3 counts a message that was only renewed in the first, older ones have the second alone.
    let counted = headers.and_then(|all| number(all, "x-acquired-count").or_else(|| number(all, "x-delivery-count")));
    if arrived.redelivered { counted.unwrap_or(1) } else { 0 }
}

fn number(headers: &FieldTable, name: &str) -> Option<u64> {
    match headers.inner().get(name)? {
        AMQPValue::LongLongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::ShortShortInt(n) => u64::try_from(*n).ok(),
        AMQPValue::LongUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortUInt(n) => Some(u64::from(*n)),
        AMQPValue::ShortShortUInt(n) => Some(u64::from(*n)),
        _ => None,
    }
}

/// Items of a message: its resources; what is no job counts as one.
pub(super) fn items(body: &[u8]) -> usize {
    #[derive(Deserialize)]
    struct Job {
        #[serde(default)]
        resources: Vec<IgnoredAny>,
    }
    serde_json::from_slice::<Job>(body).map_or(1, |job| job.resources.len().max(1))
}

/// The message as a worker gets it.
///
/// Its time is the `timestamp` property, in seconds. Where a publisher sets neither that nor `created_at`, nobody knows
/// when the message was made: the worker takes the moment at which it gets it, and a redelivery moves that.
pub(super) fn delivery(ticket: Ticket, arrived: Arrived) -> Delivery {
    let properties = &arrived.properties;
    let id = match properties.message_id() {
        Some(id) if !id.as_str().is_empty() => id.as_str().into(),
        _ => body_id(&arrived.data),
    };
    let seconds = properties.timestamp().and_then(|seconds| i64::try_from(seconds).ok());
    let published_at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let trace = trace(properties.headers().as_ref());
    Delivery { ticket, id, body: arrived.data, line: None, marks: Vec::new(), published_at, trace }
}

fn body_id(body: &[u8]) -> Arc<str> {
    let mut text = String::with_capacity(32);
    for byte in Sha256::digest(body).iter().take(16) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lapin::BasicProperties;

    fn arrived(properties: BasicProperties, body: &[u8]) -> Arrived {
        let mut arrived = Arrived::mock(1, "".into(), "".into(), true, body.to_vec());
        arrived.properties = properties;
        arrived
    }

    #[test]
    fn items_are_resources_and_what_is_no_job_is_one() {
        assert_eq!(items(br#"{"id":"1","resources":["a",{"id":"b","x":[1,2]}],"set":{"k":"v"}}"#), 2);
        assert_eq!(items(br#"{"resources":[]}"#), 1);
        assert_eq!(items(br#"{"resources":7}"#), 1);
        assert_eq!(items(b"garbage"), 1);
        assert_eq!(items(b""), 1);
    }

    #[test]
    fn a_message_without_an_id_is_named_by_its_bytes() {
        let id = |body: &[u8]| delivery(Ticket(1), arrived(BasicProperties::default(), body)).id;
        assert_eq!(id(b"a"), id(b"a"));
        assert_ne!(id(b"a"), id(b"b"));
        let named = BasicProperties::default().with_message_id("job-1".into());
        assert_eq!(&*delivery(Ticket(1), arrived(named, b"a")).id, "job-1");
        assert_eq!(id(b"a").len(), 32);
    }

    #[test]
    fn time_and_trace_are_read_where_they_make_sense() {
        const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString(PARENT.into()));
        headers.insert("tracestate".into(), AMQPValue::LongString("a=1, b=2".into()));
        let properties = BasicProperties::default().with_timestamp(1_700_000_000).with_headers(headers.clone());
        let got = delivery(Ticket(1), arrived(properties, b""));
        assert_eq!(got.published_at, Some(Timestamp::from_second(1_700_000_000).unwrap()));
        let trace = got.trace.unwrap();
        assert_eq!((trace.parent(), trace.state()), (PARENT, Some("a=1,b=2")));
        headers.insert("traceparent".into(), AMQPValue::LongString("00-abc-01".into()));
        let properties = BasicProperties::default().with_timestamp(u64::MAX).with_headers(headers);
        let got = delivery(Ticket(1), arrived(properties, b""));
        assert_eq!((got.published_at, got.trace), (None, None));
    }

    #[test]
    fn the_count_is_the_brokers_and_that_of_a_first_delivery_is_nothing() {
        let counted = |name: &str, redelivered| {
            let mut headers = FieldTable::default();
            headers.insert(name.into(), AMQPValue::LongLongInt(7));
            let mut one = arrived(BasicProperties::default().with_headers(headers), b"");
            one.redelivered = redelivered;
            times(&one)
        };
        assert_eq!(counted("x-delivery-count", true), 7);
        assert_eq!(counted("x-acquired-count", true), 7);
        assert_eq!(counted("other", true), 1);
        assert_eq!(counted("x-delivery-count", false), 0, "a publisher may have copied the header");
    }
}
