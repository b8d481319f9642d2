//! A message that is no job, as a dead letter on its way: the bytes as they came, the reason in headers.

use crate::{
    broker::{
        RawDeadLetter,
        rabbitmq::{message::Message, names::Names},
    },
    job::LaneName,
};
use jiff::Timestamp;

/// Makes the message. The routing key is the lane, or `-` where it could not be read.
pub fn raw(names: &Names, letter: RawDeadLetter, now: Timestamp) -> Message {
    let RawDeadLetter { id, lane, code, message, source, line, body } = letter;
    let key = lane.as_ref().map_or("-", LaneName::as_str);
    let mut raw = Message::json(names.dead(), key.to_owned(), id, body)
        .with_header("tagmill-code", &code)
        .with_header("tagmill-message", &message);
    raw.content_type = "application/octet-stream";
    raw.timestamp = u64::try_from(now.as_second()).ok();
    let line = line.map(|line| line.to_string());
    let lane = lane.as_ref().map(LaneName::as_str);
    for (name, value) in
        [("tagmill-lane", lane), ("tagmill-source", source.as_deref()), ("tagmill-line", line.as_deref())]
    {
        if let Some(value) = value {
            raw = raw.with_header(name, value);
        }
    }
    raw
}
