//! The task behind a feed: it owns the consumers of a lane, keeps what is unacked, acks, and renews what grows old.
//!
//! A lane has a queue for all its jobs and one for urgent jobs. Who owns the lane is who the broker lets consume the first
//! one, and so the urgent queue is consumed only while a message of the first is held: as long as that is not acked, no
//! other worker is let in. The urgent queue is begun with when a bell comes through the first queue, or when the window
//! is so full of other work that a bell could not come through; and whoever sees jobs in it that nobody takes rings.

use super::{
    board::{Board, FeedState},
    fault::PATIENCE,
    lane_channel::LaneChannel,
    line::{Line, URGENT},
    link::Link,
    message::Message,
    publisher::Publisher,
    window::{Load, Window, is_suspicious},
};
use crate::{
    broker::{BrokerError, Delivery},
    job::LaneName,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, timeout_at},
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

/// How often jobs in the urgent queue that no bell rang for are looked for; and at most, while ringing does not help: the
/// lane may be with a worker of an older version.
const PATROL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));
/// A bell that we rang ourselves comes within that time, or a better owner is waiting and it is kept for that one.
const RINGS: Duration = Duration::from_secs(3);
/// An urgent queue that was empty for so long is left.
const LINGER: Duration = Duration::from_secs(2);

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
    /// The queue of all its jobs, subscribed to, and that of urgent ones, which is not.
    pub(super) main: (LaneChannel, mpsc::Sender<Ready>),
    pub(super) urgent: (LaneChannel, mpsc::Sender<Ready>),
    pub(super) link: Link,
    /// To ring with.
    pub(super) publisher: Publisher,
    pub(super) acks: mpsc::Receiver<Ack>,
    /// Told to close, or dropped: it ends either way.
    pub(super) stop: oneshot::Receiver<oneshot::Sender<()>>,
    pub(super) state: Arc<FeedState>,
    pub(super) board: Arc<Board>,
    pub(super) window: Window,
    /// The prefetch it would have if its messages weighed nothing.
    pub(super) usual: u16,
    pub(super) prefetch: u16,
    pub(super) urgent_prefetch: u16,
    /// Age of the oldest message at which all are renewed.
    pub(super) renew_after: Duration,
}

enum End {
    Closed(Option<oneshot::Sender<()>>),
    Lost(String),
}

/// What the work needs, and what it changes.
struct Work {
    lane: LaneName,
    feed: u64,
    link: Link,
    publisher: Publisher,
    acks: mpsc::Receiver<Ack>,
    stop: oneshot::Receiver<oneshot::Sender<()>>,
    state: Arc<FeedState>,
    board: Arc<Board>,
    window: Window,
    usual: u16,
    renew_after: Duration,
    main: Line,
    urgent: Line,
    idle_since: Option<Instant>,
    asked: Instant,
    patrolled: Instant,
    patrol_after: Duration,
}

impl Keeper {
    /// Works until the feed is closed or the lane is lost.
    pub(super) async fn run(self) {
        let now = Instant::now();
        let Self { lane, feed, link, publisher, acks, stop, state, board, window, usual, renew_after, .. } = self;
        let ((main, ready), (urgent, urgent_ready)) = (self.main, self.urgent);
        let mut work = Work {
            main: Line::new(main, self.prefetch, false, feed, ready, Arc::clone(&state)),
            urgent: Line::new(urgent, self.urgent_prefetch, true, feed, urgent_ready, Arc::clone(&state)),
            lane,
            feed,
            link,
            publisher,
            acks,
            stop,
            state,
            board,
            window,
            usual,
            renew_after,
            idle_since: Some(now),
            asked: now,
            patrolled: now,
            patrol_after: PATROL.0,
        };
        let end = work.run().await;
        work.end(end).await;
    }
}

impl Work {
    async fn run(&mut self) -> End {
        self.main.tell();
        let link = self.link.clone();
        let mut lost = pin!(link.lost());
        let mut look = interval((self.renew_after / 4).clamp(Duration::from_millis(10), LOOK));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut arrived, mut urgent) = (Vec::new(), Vec::new());
        loop {
            let outcome = tokio::select! {
                biased;
                stop = &mut self.stop => return End::Closed(stop.ok()),
                why = &mut lost => Err(why),
                Some(ack) = self.acks.recv() => self.ack(ack).await,
                came = self.urgent.channel.arrivals(&mut urgent) => match came {
                    Ok(()) => self.urgent.take(&mut urgent).await,
                    Err(why) => Err(why),
                },
                came = self.main.channel.arrivals(&mut arrived) => match came {
                    Ok(()) => match self.main.take(&mut arrived).await {
                        Ok(()) => self.hear().await,
                        Err(why) => Err(why),
                    },
                    Err(why) => Err(why),
                },
                _ = look.tick() => self.look().await,
            };
            if let Err(why) = outcome {
                return End::Lost(why);
            }
        }
    }

    /// Nothing is handed on, and nothing acked, from the first line on. Then the channels are closed, which gives back
    /// what is unacked in order; only then the consumers go. The urgent one first: with the other the lane goes.
    async fn end(self, end: End) {
        let Self { main, urgent, state, board, lane, link, .. } = self;
        let (why, closed) = match end {
            End::Closed(closed) => ("it was closed".to_owned(), closed),
            End::Lost(why) => (why, None),
        };
        state.lose(&why);
        board.remove(self.feed);
        let (Line { channel: main, ready, .. }, Line { channel: urgent, ready: urgent_ready, .. }) = (main, urgent);
        drop((ready, urgent_ready));
        let mut acks = self.acks;
        acks.close();
        while let Some(ack) = acks.recv().await {
            let _ = ack.done.send(Err(BrokerError::LaneLost(lane.clone(), why.clone())));
        }
        if !urgent.close().await || !main.close().await {
            // A broker that does not answer would keep the lane for us for ever. Without a connection it cannot.
            tracing::warn!(%lane, "a channel could not be closed in {PATIENCE:?}; its connection is");
            link.close().await;
        }
        drop((urgent, main));
        if let Some(closed) = closed {
            // Whoever asked may have gone.
            let _ = closed.send(());
        }
    }

    /// A bell has come, or none could: then the urgent queue is worked on too.
    async fn hear(&mut self) -> Result<(), String> {
        if !self.main.bells.is_empty() || self.main.is_full() {
            self.begin_urgent().await?;
        }
        self.main.keep_one_bell().await
    }

    /// Subscribes to the urgent queue, where the lane is provably ours.
    async fn begin_urgent(&mut self) -> Result<(), String> {
        if self.urgent.channel.is_subscribed() || self.main.held.messages() == 0 {
            return Ok(());
        }
        self.urgent.last_arrival = Instant::now();
        self.urgent.channel.subscribe().await.map_err(|error| error.to_string())
    }

    /// Ends the urgent consumer, of which nothing is held. False when something came at that moment.
    async fn leave_urgent(&mut self) -> Result<bool, String> {
        let mut arrived = Vec::new();
        self.urgent.channel.unsubscribe(&mut arrived).await?;
        self.urgent.is_active = false;
        if arrived.is_empty() {
            return Ok(true);
        }
        self.urgent.channel.subscribe().await.map_err(|error| error.to_string())?;
        self.urgent.take(&mut arrived).await?;
        Ok(false)
    }

    async fn ack(&mut self, ack: Ack) -> Result<(), String> {
        let (urgent, main): (Vec<u64>, Vec<u64>) = ack.numbers.iter().partition(|number| **number & URGENT != 0);
        let urgent: Vec<u64> = urgent.into_iter().map(|number| number & !URGENT).collect();
        self.state.forget_traces(&ack.numbers);
        let outcome = self.settle(main, &urgent).await;
        let told = outcome.clone().map_err(|why| BrokerError::LaneLost(self.lane.clone(), why));
        // Whoever asked may have gone; the messages are done all the same.
        let _ = ack.done.send(told);
        outcome
    }

    /// Acks messages of both queues. While the urgent one is consumed something of the other is held.
    async fn settle(&mut self, mut main: Vec<u64>, urgent: &[u64]) -> Result<(), String> {
        self.urgent.ack(urgent).await?;
        main.retain(|number| self.main.held.has(*number));
        main.sort_unstable();
        main.dedup();
        let is_rest = main.len() as u64 == self.main.held.messages();
        if !is_rest || !self.urgent.channel.is_subscribed() {
            return self.main.ack(&main).await;
        }
        if self.urgent.held.messages() == 0 && self.leave_urgent().await? {
            return self.main.ack(&main).await;
        }
        // Urgent jobs are on their way, and only this last message says that the lane is ours: another one has to come.
        let Some(last) = main.pop() else { return Ok(()) };
        self.main.ack(&main).await?;
        if self.main.is_full() {
            return Err("its window is too small to go on with urgent jobs".into());
        }
        self.ring();
        let (end, mut arrived) = (Instant::now() + RINGS, Vec::new());
        match timeout_at(end, self.main.channel.arrivals(&mut arrived)).await {
            Ok(came) => came?,
            Err(_) => return Err("urgent jobs are on their way and nothing says that the lane stays ours".into()),
        }
        self.main.take(&mut arrived).await?;
        self.main.keep_one_bell().await?;
        self.main.ack(&[last]).await
    }

    fn ring(&self) {
        self.publisher.offer(Message::bell(self.link.names(), self.lane.to_string()));
    }

    /// What has to be done now and then.
    async fn look(&mut self) -> Result<(), String> {
        let now = Instant::now();
        for line in [&mut self.main, &mut self.urgent] {
            line.tell();
            if line.oldest().is_some_and(|age| age >= self.renew_after) {
                tracing::debug!(lane = %self.lane, messages = line.held.messages(), "renewing");
                line.renew().await?;
            }
            if line.held.messages() == 0 && now - line.last_arrival >= LOOK {
                // There is room for all of them, and none came.
                line.more_behind = false;
            }
        }
        self.hear().await?;
        self.patrol(now).await?;
        self.weigh(now);
        let silence = now.saturating_duration_since(self.main.last_arrival);
        if is_suspicious(self.main.load(), silence.min(now - self.asked)) {
            self.asked = now;
            if self.main.channel.ready().await? > 0 {
                self.state.want(BETTER_OWNER);
            }
        }
        Ok(())
    }

    /// Leaves an urgent queue that has nothing more, and looks for jobs in it that no bell rang for.
    async fn patrol(&mut self, now: Instant) -> Result<(), String> {
        if self.urgent.channel.is_subscribed() {
            let quiet = now.saturating_duration_since(self.urgent.last_arrival) >= LINGER;
            let useless = self.main.holds_no_job() || !self.main.bells.is_empty();
            if !quiet || !useless || self.urgent.held.messages() > 0 || self.urgent.channel.ready().await? > 0 {
                return Ok(());
            }
            // Where other work is held, the next bell is heard as well, and that is what says that the lane is ours.
            if !self.main.holds_no_job() || self.leave_urgent().await? {
                self.main.keep_no_bell().await?;
            }
            return Ok(());
        }
        if now.saturating_duration_since(self.patrolled) < self.patrol_after {
            return Ok(());
        }
        self.patrolled = now;
        let (ready, is_consumed) = self.urgent.channel.depth().await?;
        let is_alone = ready > 0 && !is_consumed;
        let wait = if is_alone { self.patrol_after * 2 } else { PATROL.0 };
        self.patrol_after = wait.min(PATROL.1);
        if is_alone && self.main.held.messages() == 0 {
            // Whoever has the lane will hear it.
            self.ring();
        }
        if is_alone { self.begin_urgent().await } else { Ok(()) }
    }

    /// Whether the window suits what is in it.
    fn weigh(&mut self, now: Instant) {
        let (main, urgent) = (self.main.load(), self.urgent.load());
        let load = Load { messages: main.messages + urgent.messages, bytes: main.bytes + urgent.bytes, ..main };
        if load.messages > 0 {
            self.idle_since = None;
        }
        let idle = load.messages == 0 && now - *self.idle_since.get_or_insert(now) >= IDLE;
        if let Some(fits) = self.window.narrower(load) {
            self.board.narrow(&self.lane, fits);
            self.state.want(TOO_HEAVY);
        } else if self.main.prefetch < self.usual && (idle || self.window.is_too_narrow(load)) {
            self.board.widen(&self.lane);
            self.state.want(TOO_NARROW);
        }
    }
}
