//! Dead letters back into their lanes: published, confirmed, and only then removed.

use super::{DeadLetters, Index, Pass, Picked, reading::Place, reading::Reading};
use crate::{
    broker::{
        BrokerError, StoredDead,
        again::{self, Again},
        rabbitmq::{
            depth::{Depth, Gauge},
            message::{EVENT_PRIORITY, Message},
            names::Names,
            publisher::{Promised, Publisher},
        },
    },
    job::{JobId, LaneName, Priority},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Jobs on their way that are not confirmed yet.
const WINDOW: usize = 256;
/// How long a confirm may take: the broker takes nothing during an alarm, and an operator wants to know.
const CONFIRM: Duration = Duration::from_mins(1);

/// What a replay came to.
#[derive(Debug, Default)]
pub struct Replay {
    /// What went to each lane.
    pub lanes: BTreeMap<LaneName, Sent>,
    /// Letters left where they are because their lane has no queue.
    pub no_lane: BTreeMap<LaneName, u64>,
    /// Letters left where they are because they are no jobs.
    pub no_job: u64,
    /// Letters that were not there any more.
    pub gone: u64,
    /// Why it broke off. What is counted was sent; of the rest a few may have been sent too, nothing is lost.
    pub broke_off: Option<BrokerError>,
}

/// What went to one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Dead letters.
    pub letters: u64,
    /// Items in them.
    pub items: u64,
    /// Whether a worker has the lane now.
    pub has_worker: bool,
}

impl Replay {
    /// Letters that are still dead, whatever the reason.
    pub fn left(&self) -> u64 {
        self.no_job + self.no_lane.values().sum::<u64>()
    }
}

/// A message to be removed as soon as its job is safe.
struct Due {
    place: Place,
    tag: u64,
    /// None for one more copy of a letter: the job of the first one went before.
    job: Option<(Promised, LaneName, u64)>,
}

struct Replaying<'r> {
    reading: Reading<'r>,
    publisher: &'r Publisher,
    gauge: Gauge<'r>,
    names: &'r Names,
    now: Timestamp,
    lanes: BTreeMap<LaneName, Option<Depth>>,
    due: VecDeque<Due>,
    /// Whether the letter at a place was sent.
    sent: Vec<bool>,
    outcome: Replay,
}

impl DeadLetters {
    /// Sends the picked ones again as new work, in the order in which they came. Each is removed after the broker has
    /// confirmed its job: broken off at any moment, a letter is still dead, or sent, or both, and never neither.
    pub async fn replay(&self, publisher: &Publisher, index: &Index, picked: &Picked, now: Timestamp) -> Replay {
        let reading = match Reading::begin(&self.link, index.step()).await {
            Ok(reading) => reading,
            Err(error) => return Replay { broke_off: Some(error), ..Replay::default() },
        };
        let (gauge, lanes, due) = (Gauge::new(&self.link), BTreeMap::new(), VecDeque::new());
        let (sent, outcome) = (vec![false; index.letters.len()], Replay::default());
        let names = self.link.names();
        let mut replaying = Replaying { reading, publisher, gauge, names, now, lanes, due, sent, outcome };
        let mut pass = Pass::over(index, picked, now);
        let done = replaying.walk(&mut pass).await;
        let Replaying { reading, gauge, mut outcome, .. } = replaying;
        gauge.close().await;
        reading.end().await;
        match done {
            Ok(()) => {
                let met = pass.met.iter().filter(|met| **met).count() as u64;
                outcome.gone = picked.count().letters.saturating_sub(met);
            }
            Err(error) => outcome.broke_off = Some(error),
        }
        outcome
    }
}

impl Replaying<'_> {
    async fn walk(&mut self, pass: &mut Pass<'_>) -> Result<(), BrokerError> {
        while let Some((place, delivery)) = self.reading.next().await? {
            let Some((at, is_first)) = pass.meet(place, &delivery) else { continue };
            let tag = delivery.delivery_tag;
            let job = if is_first {
                let Some(dead) = pass.stored(at, delivery.data) else { continue };
                let Some(job) = self.send(&dead).await? else { continue };
                if let Some(sent) = self.sent.get_mut(at) {
                    *sent = true;
                }
                Some(job)
            } else if self.sent.get(at) == Some(&true) {
                None
            } else {
                continue;
            };
            self.due.push_back(Due { place, tag, job });
            if self.due.len() >= WINDOW {
                self.settle().await?;
            }
        }
        while !self.due.is_empty() {
            self.settle().await?;
        }
        Ok(())
    }

    /// Hands the job of a letter over for publishing. `None` when it stays where it is.
    async fn send(&mut self, dead: &StoredDead) -> Result<Option<(Promised, LaneName, u64)>, BrokerError> {
        let entry = &dead.entry;
        let job = if entry.raw {
            // A message without an id of its own has its name.
            let id = entry.job.clone().or_else(|| JobId::new(&entry.id).ok());
            again::of_message(&entry.id, &dead.body, entry.lane.as_ref(), id.as_ref(), self.now)
        } else {
            again::of_letter(&entry.id, &dead.body, self.now)
        };
        let Some(Again { lane, id, priority, items, body }) = job else {
            self.outcome.no_job += 1;
            return Ok(None);
        };
        if self.depth(&lane).await?.is_none() {
            *self.outcome.no_lane.entry(lane).or_default() += 1;
            return Ok(None);
        }
        let message = Message {
            // All of them through one queue: letters of one resource keep their order, whatever their priorities.
            priority: if priority == Priority::Event { EVENT_PRIORITY } else { 0 },
            timestamp: u64::try_from(self.now.as_second()).ok(),
            ..Message::json(self.names.jobs(), lane.as_str().to_owned(), id.as_str().to_owned(), body)
        };
        let message = message.with_trace(entry.trace.as_ref());
        let promised = in_time(self.publisher.begin(message)).await?;
        Ok(Some((promised, lane, items)))
    }

    /// The queue of a lane. A job for a lane without one would come back as a dead letter.
    async fn depth(&mut self, lane: &LaneName) -> Result<Option<Depth>, BrokerError> {
        if let Some(known) = self.lanes.get(lane) {
            return Ok(*known);
        }
        let depth = self.gauge.depth(&self.names.lane_queue(lane)).await?;
        self.lanes.insert(lane.clone(), depth);
        Ok(depth)
    }

    /// Waits for the oldest job to be safe and removes its letter.
    async fn settle(&mut self) -> Result<(), BrokerError> {
        let Some(Due { place, tag, job }) = self.due.pop_front() else { return Ok(()) };
        if let Some((promised, lane, items)) = job {
            in_time(promised.confirmed()).await?;
            let has_worker = self.lanes.get(&lane).copied().flatten().is_some_and(|depth| depth.consumers > 0);
            let sent = self.outcome.lanes.entry(lane).or_default();
            sent.letters += 1;
            sent.items += items;
            sent.has_worker = has_worker;
        }
        self.reading.ack(place, tag).await
    }
}

async fn in_time<T>(publishing: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    tokio::time::timeout(CONFIRM, publishing).await.unwrap_or_else(|_| {
        Err(BrokerError::Unavailable(format!(
            "the broker did not confirm a job in {CONFIRM:?} (it takes no messages during a memory or disk alarm)"
        )))
    })
}
