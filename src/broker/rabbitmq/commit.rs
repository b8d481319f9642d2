//! From deeds to messages and acks: every document is confirmed before the first ack leaves.

use super::{
    board::{Board, OpenFeed},
    keeper::{Ack, NUMBER_BITS},
    message::Message,
    names::{Names, receipt_key},
    publisher::Publisher,
};
use crate::{
    broker::{BrokerError, Deed, RawDeadLetter, Ticket},
    job::LaneName,
    worker::clock,
};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::collections::hash_map::Entry;
use tokio::sync::oneshot;

/// Header of a raw dead letter: what kind of fault, such as `invalid`.
pub const CODE: &str = "tagmill-code";
/// Header of a raw dead letter: what was wrong, field by field; 4 KB at most.
pub const REASON: &str = "tagmill-message";
/// Header of a raw dead letter: its lane, where one could be read.
pub const LANE: &str = "tagmill-lane";
/// Header of a raw dead letter: where it came from, such as a file.
pub const SOURCE: &str = "tagmill-source";
/// Header of a raw dead letter: the line of that file.
pub const LINE: &str = "tagmill-line";

/// Records deeds: `Ok` when every document is confirmed and every ack has reached its queue. A loss before that brings
/// the message again, and its documents a second time under the same ids.
pub(super) async fn commit(
    board: &Board,
    names: &Names,
    publisher: &Publisher,
    deeds: Vec<Deed>,
) -> Result<(), BrokerError> {
    let mut feeds = Feeds { board, found: FxHashMap::default() };
    let mut messages = Vec::new();
    let now = u64::try_from(clock::wall().as_second()).ok();
    let mut say = |message: Message, feed: &OpenFeed, number: u64| {
        let message = Message { timestamp: now, ..message };
        messages.push(message.with_trace(feed.state.trace(number).as_ref()));
    };
    for deed in deeds {
        match deed {
            Deed::DeadLetter(ticket, letter) => {
                let (feed, number) = feeds.of(ticket)?;
                let (key, id) = (letter.job.lane.as_str().to_owned(), letter.id.clone());
                say(Message::json(names.dead(), key, id, json(&letter)?), &feed.0, number);
            }
            Deed::RawDeadLetter(ticket, raw) => {
                let (feed, number) = feeds.of(ticket)?;
                say(raw_dead_letter(names, &feed.0.lane, raw), &feed.0, number);
            }
            Deed::Receipt(ticket, receipt) => {
                let (feed, number) = feeds.of(ticket)?;
                let key = receipt_key(&receipt.lane, receipt.batch.as_deref(), &receipt.job);
                say(Message::json(names.receipts(), key, receipt.id.clone(), json(&receipt)?), &feed.0, number);
            }
            Deed::Ack(ticket) => {
                let (feed, number) = feeds.of(ticket)?;
                feed.1.push(number);
            }
            // Nothing is remembered over a crash: an unsettled message comes back whole.
            Deed::Mark(..) => {}
            Deed::Count(lane, counts) => board.count(&lane, counts),
        }
    }
    publisher.publish(messages).await?;
    for (feed, numbers) in feeds.found.into_values().filter(|(_, numbers)| !numbers.is_empty()) {
        ack(feed, numbers).await?;
    }
    Ok(())
}

/// The feeds that a commit speaks of, and what is to be acked on each.
struct Feeds<'b> {
    board: &'b Board,
    found: FxHashMap<u64, (OpenFeed, Vec<u64>)>,
}

impl Feeds<'_> {
    /// The feed of a ticket, and the number of the message there. A lane that is lost takes nothing more: its messages
    /// are with somebody else.
    fn of(&mut self, ticket: Ticket) -> Result<(&mut (OpenFeed, Vec<u64>), u64), BrokerError> {
        let (feed, number) = (ticket.0 >> NUMBER_BITS, ticket.0 & ((1 << NUMBER_BITS) - 1));
        let found = match self.found.entry(feed) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => place.insert((self.board.feed(feed).map_err(gone)?, Vec::new())),
        };
        match found.0.state.lost() {
            Some(why) => Err(BrokerError::LaneLost(found.0.lane.clone(), why.to_owned())),
            None => Ok((found, number)),
        }
    }
}

fn gone(lane: Option<LaneName>) -> BrokerError {
    match lane {
        Some(lane) => BrokerError::LaneLost(lane, "it was closed".into()),
        None => BrokerError::Refused("a ticket of no lane that this worker has open".into()),
    }
}

async fn ack(feed: OpenFeed, numbers: Vec<u64>) -> Result<(), BrokerError> {
    let lost = || {
        let why = feed.state.lost().unwrap_or("it was closed");
        BrokerError::LaneLost(feed.lane.clone(), why.to_owned())
    };
    let (done, answer) = oneshot::channel();
    feed.acks.send(Ack { numbers, done }).await.map_err(|_| lost())?;
    answer.await.map_err(|_| lost())?
}

fn json(document: &impl Serialize) -> Result<Vec<u8>, BrokerError> {
    serde_json::to_vec(document).map_err(|error| BrokerError::Refused(format!("a document cannot be written: {error}")))
}

/// The bytes of the message as they came; what was wrong with them stands in headers.
fn raw_dead_letter(names: &Names, from: &LaneName, raw: RawDeadLetter) -> Message {
    let lane = raw.lane.as_ref().unwrap_or(from);
    let key = lane.as_str().to_owned();
    let mut message = Message::json(names.dead(), key, raw.id, raw.body)
        .with_header(CODE, &raw.code)
        .with_header(REASON, &raw.message)
        .with_header(LANE, lane.as_str());
    if let Some(source) = &raw.source {
        message = message.with_header(SOURCE, source);
    }
    if let Some(line) = raw.line {
        message = message.with_header(LINE, &line.to_string());
    }
    Message { content_type: "application/octet-stream", ..message }
}
