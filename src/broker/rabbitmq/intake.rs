//! A queue that is not ours: messages one after the other, acked when whoever takes them says so.

use super::{
    fault::{answered, told},
    link::Link,
    message::trace,
    own::Own,
    topology::short,
};
use crate::{broker::BrokerError, job::Trace};
use futures_core::Stream as _;
use lapin::{
    Consumer,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use std::{future::poll_fn, pin::Pin};

/// Messages on their way here at most.
const AHEAD: u16 = 50;
/// Bytes of a header's value at most.
const HEADER_BYTES: usize = 4_096;

/// A message, with its headers as text.
#[derive(Clone)]
pub struct Arrived {
    /// For [`Intake::done`].
    pub tag: u64,
    /// Headers that are text, and the content type.
    pub headers: Vec<(String, String)>,
    /// The trace it belongs to.
    pub trace: Option<Trace>,
    /// The bytes.
    pub body: Vec<u8>,
}

/// Never shows the body.
impl std::fmt::Debug for Arrived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Arrived({}, {} bytes)", self.tag, self.body.len())
    }
}

/// A consumer of somebody else's queue. What is not done when it goes is handed out again.
#[derive(Debug)]
pub struct Intake {
    channel: Own,
    consumer: Consumer,
    queue: String,
}

impl Intake {
    /// Begins. The queue has to be there.
    pub async fn open(link: &Link, queue: &str) -> Result<Self, BrokerError> {
        let channel = Own::open(link).await?;
        let what = format!("consuming from queue {queue}");
        answered(&what, channel.basic_qos(AHEAD, BasicQosOptions::default())).await?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consuming = channel.basic_consume(short(queue)?, ShortString::default(), options, none);
        let consumer = answered(&what, consuming).await?;
        Ok(Self { channel, consumer, queue: queue.to_owned() })
    }

    /// The next message.
    pub async fn next(&mut self) -> Result<Arrived, BrokerError> {
        let delivery = match poll_fn(|cx| Pin::new(&mut self.consumer).poll_next(cx)).await {
            Some(Ok(delivery)) => delivery,
            Some(Err(error)) => return Err(told(&error, &format!("consuming from queue {}", self.queue))),
            None => {
                return Err(BrokerError::Unavailable(format!("the consumer of queue {} was cancelled", self.queue)));
            }
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        if let Some(kind) = delivery.properties.content_type() {
            headers.push(("content-type".into(), kind.to_string()));
        }
        let all = delivery.properties.headers().as_ref().map(|table| table.inner().iter());
        for (name, value) in all.into_iter().flatten() {
            if let Some(value) = text(value) {
                headers.push((name.to_string(), value));
            }
        }
        let trace = trace(delivery.properties.headers().as_ref());
        Ok(Arrived { tag: delivery.delivery_tag, headers, trace, body: delivery.data })
    }

    /// It is safe: the queue may forget it.
    pub async fn done(&self, tag: u64) -> Result<(), BrokerError> {
        let what = format!("settling a message of queue {}", self.queue);
        answered(&what, self.channel.basic_ack(tag, BasicAckOptions::default())).await
    }
}

fn text(value: &AMQPValue) -> Option<String> {
    let bytes = match value {
        AMQPValue::LongString(text) => text.as_bytes(),
        AMQPValue::ShortString(text) => text.as_str().as_bytes(),
        _ => return None,
    };
    (bytes.len() <= HEADER_BYTES).then(|| std::str::from_utf8(bytes).ok().map(str::to_owned)).flatten()
}
