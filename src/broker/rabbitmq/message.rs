//! A message on its way out: where to, its bytes, and the headers that everybody may read.

use super::{names::Names, topology::short};
use crate::job::{Priority, TRACEPARENT, TRACESTATE, Trace};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use std::sync::Arc;

/// Header bytes of one text at most: the frame that carries them all is bounded.
const HEADER_BYTES: usize = 4_096;

/// What jobs of events get, heard by RabbitMQ 4; bulk has 0.
pub(super) const EVENT_PRIORITY: u8 = 9;
/// What a bell holds, for whoever has a lane: look at its urgent queue. It is no job, so no job is ever taken for one.
const BELL: &[u8] = br#"{"tagmill":"bell"}"#;

/// A persistent message.
#[derive(Clone)]
pub struct Message {
    /// Exchange.
    pub exchange: Arc<str>,
    /// Routing key; at most 255 bytes.
    pub key: String,
    /// Name of the message; a consumer drops repeats by it.
    pub id: String,
    /// Headers.
    pub headers: FieldTable,
    /// `application/json`, or `application/octet-stream` for bytes that are no job.
    pub content_type: &'static str,
    /// 9 for events, 0 for bulk; heard by RabbitMQ 4.
    pub priority: u8,
    /// Seconds since 1970 when it was made.
    pub timestamp: Option<u64>,
    /// Whether it must reach a queue. News and answers need not: nobody may be there to hear them.
    pub mandatory: bool,
    /// The bytes. Shared, because they stay here until the broker has confirmed them.
    pub body: Arc<[u8]>,
}

impl Message {
    /// A JSON document.
    pub fn json(exchange: &Arc<str>, key: String, id: String, body: Vec<u8>) -> Self {
        let headers = FieldTable::default();
        let (exchange, body) = (Arc::clone(exchange), body.into());
        let content_type = "application/json";
        Self { exchange, key, id, headers, content_type, priority: 0, timestamp: None, mandatory: true, body }
    }

    /// A job, on its way to its lane: to the lane's urgent queue where it goes ahead of bulk work.
    pub fn job(names: &Names, lane: String, id: String, body: Vec<u8>, priority: Priority) -> Self {
        let (exchange, priority) = match priority {
            Priority::Event => (names.urgent(), EVENT_PRIORITY),
            Priority::Bulk => (names.jobs(), 0),
        };
        Self { priority, ..Self::json(exchange, lane, id, body) }
    }

    /// Goes through a lane's ordinary queue to whoever has the lane, and makes it look at the urgent one.
    pub(super) fn bell(names: &Names, lane: String) -> Self {
        Self { priority: EVENT_PRIORITY, ..Self::json(names.jobs(), lane, "bell".into(), BELL.to_vec()) }
    }

    /// The same, for whoever is there: where no queue takes it, it is gone.
    #[must_use]
    pub fn for_whoever_is_there(self) -> Self {
        Self { mandatory: false, ..self }
    }

    /// Adds a header; a long text is cut.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, text: &str) -> Self {
        let cut = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= HEADER_BYTES).last().unwrap_or(0);
        let text = if text.len() > HEADER_BYTES { text.get(..cut).unwrap_or_default() } else { text };
        self.headers.insert(name.into(), AMQPValue::LongString(text.into()));
        self
    }

    /// Goes on with a trace, where there is one.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<&Trace>) -> Self {
        for (name, text) in trace.into_iter().flat_map(Trace::headers) {
            self.headers.insert(name.into(), AMQPValue::LongString(text.into()));
        }
        self
    }

    /// Whether a message's bytes are those of a bell.
    pub(super) fn is_bell(body: &[u8]) -> bool {
        body == BELL
    }

    pub(super) fn properties(&self) -> BasicProperties {
        // An id that is too long for the wire cannot be one of ours; its hash names it as well.
        let id = short(&self.id).unwrap_or_else(|_| crate::job::stable_hash(&[&self.id]).as_str().into());
        let properties = BasicProperties::default()
            .with_message_id(id)
            .with_delivery_mode(2)
            .with_content_type(self.content_type.into())
            .with_priority(self.priority)
            .with_headers(self.headers.clone());
        match self.timestamp {
            Some(at) => properties.with_timestamp(at),
            None => properties,
        }
    }
}

/// The trace that a message belongs to, by its headers.
pub(super) fn trace(headers: Option<&FieldTable>) -> Option<Trace> {
    let text = |name: &str| match headers?.inner().get(name)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ShortString(text) => Some(text.as_str()),
        _ => None,
    };
    Trace::read(text(TRACEPARENT)?, text(TRACESTATE))
}

/// Never shows the body.
impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Message({} to {} {}, {} bytes)", self.id, self.exchange, self.key, self.body.len())
    }
}
