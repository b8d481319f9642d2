//! One of a lane's two queues as its owner works on it: what is taken, handed on, acked and renewed.

use super::{
    arrival::{self, print},
    board::FeedState,
    held::{Held, Kept},
    keeper::{NUMBER_BITS, Ready},
    lane_channel::LaneChannel,
    message::Message,
    order::{self, CHUNK, PASSES},
    window::Load,
};
use crate::broker::Ticket;
use lapin::message::Delivery as Arrived;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// The bit of a message's number that tells the two queues apart.
pub(super) const URGENT: u64 = 1 << (NUMBER_BITS - 1);

/// Not what a broker sends.
const NONSENSE: &str = "the broker's delivery tags make no sense";

/// A queue, and what is held of it.
pub(super) struct Line {
    pub(super) channel: LaneChannel,
    pub(super) held: Held,
    /// Bells among what is held, the oldest first. Nobody but the keeper ever sees them.
    pub(super) bells: VecDeque<u64>,
    /// Messages that came back wait behind those in hand; until new ones come.
    pub(super) more_behind: bool,
    /// The broker has handed out something since we subscribed: the queue is ours.
    pub(super) is_active: bool,
    pub(super) last_arrival: Instant,
    pub(super) prefetch: u16,
    /// Messages on their way to the feed.
    pub(super) ready: mpsc::Sender<Ready>,
    state: Arc<FeedState>,
    /// Number of the feed in this process.
    feed: u64,
    /// [`URGENT`], or nothing.
    bit: u64,
}

impl Line {
    pub(super) fn new(
        channel: LaneChannel,
        prefetch: u16,
        urgent: bool,
        feed: u64,
        ready: mpsc::Sender<Ready>,
        state: Arc<FeedState>,
    ) -> Self {
        let (held, bells, last_arrival) = (Held::default(), VecDeque::new(), Instant::now());
        let (more_behind, is_active, bit) = (false, false, if urgent { URGENT } else { 0 });
        Self { channel, held, bells, more_behind, is_active, last_arrival, prefetch, ready, state, feed, bit }
    }

    /// Takes what has arrived. The first message says that the queue is ours.
    pub(super) async fn take(&mut self, arrived: &mut Vec<Arrived>) -> Result<(), String> {
        if self.is_active {
            let came_back = arrived.first().is_some_and(|first| first.redelivered);
            if came_back && self.held.messages() == 0 && !self.more_behind {
                // RabbitMQ 4 gives a lane of which nothing is held to a better owner without a word, and back when that
                // one dies. What it did with the account in between is not known here: the lane begins anew.
                return Err("another worker had it in between".into());
            }
            return self.hand_on(arrived);
        }
        self.is_active = true;
        let taken = order::settle(&mut self.channel, self.prefetch, arrived).await?;
        self.more_behind = taken.more_behind;
        self.hand_on(arrived)
    }

    /// Numbers what has arrived and hands it to the feed; bells stay here.
    fn hand_on(&mut self, arrived: &mut Vec<Arrived>) -> Result<(), String> {
        if arrived.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        self.last_arrival = now;
        let mut ready = Vec::with_capacity(arrived.len());
        for one in arrived.drain(..) {
            // New messages come only when nothing is left of those that came back.
            self.more_behind &= one.redelivered;
            let taken = self.held.take(one.delivery_tag, print(&one), one.data.len() as u64, now);
            let Some(number) = taken.filter(|number| *number < URGENT) else {
                return Err(NONSENSE.into());
            };
            if Message::is_bell(&one.data) {
                self.bells.push_back(number);
                continue;
            }
            let number = number | self.bit;
            let items = arrival::items(&one.data);
            let delivery = arrival::delivery(Ticket(self.feed << NUMBER_BITS | number), one);
            if let Some(trace) = &delivery.trace {
                self.state.remember_trace(number, trace);
            }
            ready.push(Ready { delivery, items });
        }
        // Whoever gets a message finds it in the numbers.
        self.tell();
        // There is room for all that the broker may hand out.
        let overflow = ready.into_iter().any(|one| self.ready.try_send(one).is_err());
        if overflow { Err("more messages came than were asked for".into()) } else { Ok(()) }
    }

    /// Acks messages by their numbers in this line.
    pub(super) async fn ack(&mut self, numbers: &[u64]) -> Result<(), String> {
        if numbers.is_empty() {
            return Ok(());
        }
        let acks = self.held.ack(numbers);
        let outcome = self.channel.ack(&acks).await;
        self.tell();
        outcome
    }

    /// Acks all bells but the newest.
    pub(super) async fn keep_one_bell(&mut self) -> Result<(), String> {
        let spare = self.bells.len().saturating_sub(1);
        let spare: Vec<u64> = self.bells.drain(..spare).collect();
        self.ack(&spare).await
    }

    /// Acks all bells.
    pub(super) async fn keep_no_bell(&mut self) -> Result<(), String> {
        let all: Vec<u64> = self.bells.drain(..).collect();
        self.ack(&all).await
    }

    /// Nothing is held but bells.
    pub(super) fn holds_no_job(&self) -> bool {
        self.held.messages() == self.bells.len() as u64
    }

    /// All that is held, bells too.
    pub(super) fn load(&self) -> Load {
        Load { messages: self.held.messages(), bytes: self.held.bytes(), prefetch: self.prefetch }
    }

    /// Whether the broker hands out no more before something is acked.
    pub(super) fn is_full(&self) -> bool {
        self.held.messages() >= u64::from(self.prefetch)
    }

    /// Tells everybody what is held. Bells are nobody's business.
    pub(super) fn tell(&self) {
        let load = self.load();
        let load = Load { messages: load.messages.saturating_sub(self.bells.len() as u64), ..load };
        let oldest = if load.messages > 0 { self.oldest() } else { None };
        self.state.tell(self.bit == URGENT, load, oldest, self.is_active);
    }

    /// How long the broker has been waiting for the oldest.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.held.oldest(Instant::now())
    }

    /// Gives every message back and takes it again, so that no ack is ever overdue. Tickets stay as they are.
    pub(super) async fn renew(&mut self) -> Result<(), String> {
        if self.more_behind {
            return Err("its messages are too old to be kept and cannot be renewed in order".into());
        }
        let mut due: Vec<Kept> = self.held.in_order().copied().collect();
        for _ in 0..PASSES {
            for chunk in due.chunks(CHUNK) {
                self.renew_some(chunk).await?;
            }
            // New messages that came in between are ahead of what came back after them: they have to go behind.
            due = self.held.misplaced();
            if due.is_empty() {
                return Ok(());
            }
        }
        Err("new messages came faster than old ones could be renewed".into())
    }

    async fn renew_some(&mut self, some: &[Kept]) -> Result<(), String> {
        let given: Vec<(u64, u64)> = some.iter().map(|kept| (kept.tag, kept.print)).collect();
        for (tag, _) in &given {
            self.held.requeued(*tag);
        }
        let mut fresh = Vec::new();
        let back = order::renew(&mut self.channel, &given, &mut fresh).await?;
        let now = Instant::now();
        let mut fresh = fresh.into_iter().peekable();
        // In the order of their tags: that is the order in which the broker has them now.
        for (kept, one) in some.iter().zip(back) {
            let mut ahead: Vec<Arrived> = Vec::new();
            while let Some(new) = fresh.next_if(|new| new.delivery_tag < one.delivery_tag) {
                ahead.push(new);
            }
            self.hand_on(&mut ahead)?;
            if !self.held.renewed(kept.number, one.delivery_tag, now) {
                return Err(NONSENSE.into());
            }
        }
        self.hand_on(&mut fresh.collect())
    }
}
