//! The task behind a feed: it owns the consumer of a lane, keeps what is unacked, acks, and renews what grows old.

use super::{
    arrival::{self, print},
    board::{Board, FeedState},
    fault::PATIENCE,
    held::{Held, Kept},
    lane_channel::LaneChannel,
    link::Link,
    order::{self, CHUNK, PASSES},
    window::{Load, Window, is_suspicious},
};
use crate::{
    broker::{BrokerError, Delivery, Ticket},
    job::LaneName,
};
use lapin::message::Delivery as Arrived;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};

/// Bits of a ticket that number the messages of one feed; those above number the feeds of this process.
pub(super) const NUMBER_BITS: u32 = 40;
/// How often a lane is looked at, at most.
const LOOK: Duration = Duration::from_secs(1);
/// A lane that held nothing for so long has forgotten how large its messages were.
const IDLE: Duration = Duration::from_mins(1);

/// A better owner is waiting, as RabbitMQ 4 lets us guess.
const BETTER_OWNER: &str = "the broker keeps messages back for a better owner";
/// Its messages weigh too much.
const TOO_HEAVY: &str = "its messages are large: it gets a smaller window";
/// Its messages are small again.
const TOO_NARROW: &str = "its messages are small again: it gets a larger window";

/// Not what a broker sends.
const NONSENSE: &str = "the broker's delivery tags make no sense";

/// A message for the worker, and how many items it holds.
pub(super) struct Ready {
    pub(super) delivery: Delivery,
    pub(super) items: usize,
}

/// Messages to ack, by their numbers, and where to tell that it is done.
pub(super) struct Ack {
    pub(super) numbers: Vec<u64>,
    pub(super) done: oneshot::Sender<Result<(), BrokerError>>,
}

/// What a keeper is started with.
pub(super) struct Keeper {
    pub(super) lane: LaneName,
    /// Number of the feed in this process.
    pub(super) feed: u64,
    pub(super) channel: LaneChannel,
    pub(super) link: Link,
    pub(super) ready: mpsc::Sender<Ready>,
    pub(super) acks: mpsc::Receiver<Ack>,
    /// Told to close, or dropped: it ends either way.
    pub(super) stop: oneshot::Receiver<oneshot::Sender<()>>,
    pub(super) state: Arc<FeedState>,
    pub(super) board: Arc<Board>,
    pub(super) window: Window,
    /// The prefetch it would have if its messages weighed nothing.
    pub(super) usual: u16,
    pub(super) prefetch: u16,
    /// Age of the oldest message at which all are renewed.
    pub(super) renew_after: Duration,
}

enum End {
    Closed(Option<oneshot::Sender<()>>),
    Lost(String),
}

/// What the work changes.
struct Work {
    keeper: Keeper,
    held: Held,
    /// Messages that came back wait behind those in hand; until new ones come.
    more_behind: bool,
    /// The broker has handed out something: the lane is ours.
    is_active: bool,
    last_arrival: Instant,
    idle_since: Option<Instant>,
    asked: Instant,
}

impl Keeper {
    /// Works until the feed is closed or the lane is lost.
    pub(super) async fn run(self) {
        let now = Instant::now();
        let mut work = Work {
            keeper: self,
            held: Held::default(),
            more_behind: false,
            is_active: false,
            last_arrival: now,
            idle_since: Some(now),
            asked: now,
        };
        let end = work.run().await;
        work.end(end).await;
    }
}

impl Work {
    async fn run(&mut self) -> End {
        self.tell();
        let link = self.keeper.link.clone();
        let mut lost = pin!(link.lost());
        let mut look = interval((self.keeper.renew_after / 4).clamp(Duration::from_millis(10), LOOK));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut arrived = Vec::new();
        loop {
            let outcome = tokio::select! {
                biased;
                stop = &mut self.keeper.stop => return End::Closed(stop.ok()),
                why = &mut lost => Err(why),
                Some(ack) = self.keeper.acks.recv() => self.ack(ack).await,
                came = self.keeper.channel.arrivals(&mut arrived) => match came {
                    Ok(()) => self.take(&mut arrived).await,
                    Err(why) => Err(why),
                },
                _ = look.tick() => self.look().await,
            };
            if let Err(why) = outcome {
                return End::Lost(why);
            }
        }
    }

    /// Nothing is handed on, and nothing acked, from the first line on. Then the channel is closed, which gives back
    /// what is unacked in order; only then the consumer goes.
    async fn end(self, end: End) {
        let Self { keeper, .. } = self;
        let (why, closed) = match end {
            End::Closed(closed) => ("it was closed".to_owned(), closed),
            End::Lost(why) => (why, None),
        };
        keeper.state.lose(&why);
        keeper.board.remove(keeper.feed);
        drop(keeper.ready);
        let mut acks = keeper.acks;
        acks.close();
        while let Some(ack) = acks.recv().await {
            let _ = ack.done.send(Err(BrokerError::LaneLost(keeper.lane.clone(), why.clone())));
        }
        if !keeper.channel.close().await {
            // A broker that does not answer would keep the lane for us for ever. Without a connection it cannot.
            tracing::warn!(lane = %keeper.lane, "the channel could not be closed in {PATIENCE:?}; its connection is");
            keeper.link.close().await;
        }
        drop(keeper.channel);
        if let Some(closed) = closed {
            // Whoever asked may have gone.
            let _ = closed.send(());
        }
    }

    /// Takes what has arrived. The first message says that the lane is ours.
    async fn take(&mut self, arrived: &mut Vec<Arrived>) -> Result<(), String> {
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
        let taken = order::settle(&mut self.keeper.channel, self.keeper.prefetch, arrived).await?;
        self.more_behind = taken.more_behind;
        self.hand_on(arrived)
    }

    /// Numbers what has arrived and hands it to the feed.
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
            let Some(number) = taken.filter(|number| *number < 1 << NUMBER_BITS) else {
                return Err(NONSENSE.into());
            };
            let items = arrival::items(&one.data);
            let delivery = arrival::delivery(Ticket(self.keeper.feed << NUMBER_BITS | number), one);
            if let Some(trace) = &delivery.trace {
                self.keeper.state.remember_trace(number, trace);
            }
            ready.push(Ready { delivery, items });
        }
        // Whoever gets a message finds it in the numbers.
        self.tell();
        // There is room for all that the broker may hand out.
        let overflow = ready.into_iter().any(|one| self.keeper.ready.try_send(one).is_err());
        if overflow { Err("more messages came than were asked for".into()) } else { Ok(()) }
    }

    async fn ack(&mut self, ack: Ack) -> Result<(), String> {
        let acks = self.held.ack(&ack.numbers);
        self.keeper.state.forget_traces(&ack.numbers);
        let outcome = self.keeper.channel.ack(&acks).await;
        let told = outcome.clone().map_err(|why| BrokerError::LaneLost(self.keeper.lane.clone(), why));
        self.tell();
        // Whoever asked may have gone; the messages are done all the same.
        let _ = ack.done.send(told);
        outcome
    }

    fn load(&self) -> Load {
        Load { messages: self.held.messages(), bytes: self.held.bytes(), prefetch: self.keeper.prefetch }
    }

    fn tell(&self) {
        self.keeper.state.tell(self.load(), self.held.oldest(Instant::now()), self.is_active);
    }

    /// What has to be done now and then.
    async fn look(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.tell();
        if self.held.oldest(now).is_some_and(|age| age >= self.keeper.renew_after) {
            self.renew().await?;
        }
        self.weigh(now);
        if self.held.messages() == 0 && now - self.last_arrival >= LOOK {
            // There is room for all of them, and none came.
            self.more_behind = false;
        }
        if is_suspicious(self.load(), (now - self.last_arrival).min(now - self.asked)) {
            self.asked = now;
            if self.keeper.channel.ready().await? > 0 {
                self.keeper.state.want(BETTER_OWNER);
            }
        }
        Ok(())
    }

    /// Whether the window suits what is in it.
    fn weigh(&mut self, now: Instant) {
        let (load, keeper) = (self.load(), &self.keeper);
        if load.messages > 0 {
            self.idle_since = None;
        }
        let idle = load.messages == 0 && now - *self.idle_since.get_or_insert(now) >= IDLE;
        if let Some(fits) = keeper.window.narrower(load) {
            keeper.board.narrow(&keeper.lane, fits);
            keeper.state.want(TOO_HEAVY);
        } else if keeper.prefetch < keeper.usual && (idle || keeper.window.is_too_narrow(load)) {
            keeper.board.widen(&keeper.lane);
            keeper.state.want(TOO_NARROW);
        }
    }

    /// Gives every message back and takes it again, so that no ack is ever overdue. Tickets stay as they are.
    async fn renew(&mut self) -> Result<(), String> {
        if self.more_behind {
            return Err("its messages are too old to be kept and cannot be renewed in order".into());
        }
        let mut due: Vec<Kept> = self.held.in_order().copied().collect();
        tracing::debug!(lane = %self.keeper.lane, messages = due.len(), "renewing");
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
        let back = order::renew(&mut self.keeper.channel, &given, &mut fresh).await?;
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
