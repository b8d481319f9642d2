//! A broker in memory that behaves as a network broker does: one active owner a lane, what is not acked comes back in
//! its order, and a lane can be lost at any moment.

use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tagmill::{
    broker::{Broker, BrokerError, Deed, Delivery, Feed, Orders, RawDeadLetter, Ticket},
    job::{DeadLetter, LaneName, Receipt, Trace},
    worker::clock,
};
use tokio::sync::{Notify, watch};

/// `MARKS` says whether it is taken for one that remembers marks, as a queue of our own does.
#[derive(Clone)]
pub struct Fake<const MARKS: bool = false>(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    news: Notify,
    orders: watch::Sender<Arc<Orders>>,
}

#[derive(Default)]
pub struct State {
    lanes: BTreeMap<LaneName, Lane>,
    tickets: u64,
    feeds: u64,
    /// No connection, and why.
    pub down: Option<String>,
    /// Lanes are opened for ever.
    pub opens_wait: bool,
    /// Lanes that somebody wanted to open.
    pub opening: u32,
    /// Commits wait.
    pub commits_wait: bool,
    /// A commit fails so, once.
    pub next_commit_fails: Option<BrokerError>,
    pub receipts: Vec<Receipt>,
    pub dead: Vec<DeadLetter>,
    pub raw: Vec<RawDeadLetter>,
    /// Acks for messages that were somebody else's by then.
    pub late_acks: u64,
    /// It knows that nobody had a lane before.
    pub never_owned: bool,
    /// Calls that commits have counted.
    pub counted: u64,
}

#[derive(Default)]
pub struct Lane {
    queue: VecDeque<Message>,
    /// The first one is active.
    subscribers: VecDeque<u64>,
    unacked: BTreeMap<Ticket, Message>,
    /// Messages an owner may hold.
    pub window: Option<usize>,
    /// Messages handed out at a time.
    pub page: Option<usize>,
    /// How often it was opened.
    pub opened: u32,
    /// How many messages were handed out.
    pub deliveries: u32,
    /// The owner is to open it again.
    pub wants_reopening: Option<&'static str>,
    /// The owner must not call.
    pub stale: bool,
    /// It cannot be opened.
    pub refused: Option<String>,
    /// The owner's feed breaks down in a way nobody thought of.
    pub panics: bool,
}

#[derive(Clone)]
struct Message {
    id: Arc<str>,
    body: Vec<u8>,
    published_at: Timestamp,
}

impl<const MARKS: bool> Fake<MARKS> {
    pub fn new() -> Self {
        let orders = watch::Sender::default();
        Self(Arc::new(Inner { state: Mutex::default(), news: Notify::new(), orders }))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn stir(&self) {
        self.0.news.notify_waiters();
    }

    /// Waits until something is so.
    async fn when(&self, so: impl Fn(&State) -> bool) {
        loop {
            let news = self.0.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            if so(&self.state()) {
                return;
            }
            news.await;
        }
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state());
        self.stir();
        changed
    }

    pub fn lane<T>(&self, lane: &str, change: impl FnOnce(&mut Lane) -> T) -> T {
        let changed = change(self.state().lane(lane));
        self.stir();
        changed
    }

    pub fn publish(&self, lane: &str, id: &str, body: impl Into<Vec<u8>>) {
        let message = Message { id: id.into(), body: body.into(), published_at: clock::wall() };
        self.lane(lane, |lane| lane.queue.push_back(message));
    }

    /// The owner loses the lane, as by a cut: it is told, and the next one in line gets what was not acked.
    pub fn lose(&self, lane: &str) {
        self.lane(lane, Lane::end_of_the_active_one);
    }

    /// Messages that are not acked.
    pub fn left(&self, lane: &str) -> usize {
        self.lane(lane, |lane| lane.queue.len() + lane.unacked.len())
    }

    /// Messages that somebody holds.
    pub fn held(&self, lane: &str) -> usize {
        self.lane(lane, |lane| lane.unacked.len())
    }

    pub fn order(&self, change: impl FnOnce(&mut Orders)) {
        self.0.orders.send_modify(|orders| {
            let orders = Arc::make_mut(orders);
            orders.revision += 1;
            change(orders);
        });
    }
}

impl State {
    fn lane(&mut self, name: &str) -> &mut Lane {
        self.lanes.entry(LaneName::new(name).unwrap()).or_default()
    }
}

impl Lane {
    fn end_of_the_active_one(&mut self) {
        self.subscribers.pop_front();
        for (_, message) in std::mem::take(&mut self.unacked).into_iter().rev() {
            self.queue.push_front(message);
        }
    }

    fn is_active(&self, feed: u64) -> bool {
        self.subscribers.front() == Some(&feed)
    }

    fn is_full(&self) -> bool {
        self.window.is_some_and(|window| self.unacked.len() >= window)
    }
}

pub struct FakeFeed<const MARKS: bool> {
    broker: Fake<MARKS>,
    lane: LaneName,
    id: u64,
}

impl<const MARKS: bool> FakeFeed<MARKS> {
    fn see<T>(&self, look: impl FnOnce(&mut Lane, &mut u64) -> T) -> Result<T, BrokerError> {
        let state = &mut *self.broker.state();
        let lane = state.lanes.entry(self.lane.clone()).or_default();
        if lane.subscribers.contains(&self.id) {
            Ok(look(lane, &mut state.tickets))
        } else {
            Err(BrokerError::LaneLost(self.lane.clone(), "the channel was closed".into()))
        }
    }

    fn hand_out(&self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        self.see(|lane, tickets| {
            let mut found = Vec::new();
            while found.len() < most.min(lane.page.unwrap_or(most))
                && lane.is_active(self.id)
                && !lane.is_full()
                && let Some(message) = lane.queue.pop_front()
            {
                *tickets += 1;
                lane.deliveries += 1;
                let ticket = Ticket(*tickets);
                lane.unacked.insert(ticket, message.clone());
                let Message { id, body, published_at } = message;
                let trace = Trace::read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
                found.push(Delivery {
                    ticket,
                    id,
                    body,
                    line: None,
                    marks: Vec::new(),
                    published_at: Some(published_at),
                    trace,
                });
            }
            found
        })
    }
}

impl<const MARKS: bool> Feed for FakeFeed<MARKS> {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            let news = self.broker.0.news.notified();
            let mut news = std::pin::pin!(news);
            news.as_mut().enable();
            assert!(!self.see(|lane, _| lane.panics)?, "a feed that breaks down");
            let found = self.hand_out(most)?;
            if !found.is_empty() {
                return Ok(found);
            }
            news.await;
        }
    }

    fn is_exhausted(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), BrokerError> {
        let stale = self.see(|lane, _| lane.stale)?;
        if stale { Err(BrokerError::LaneLost(self.lane.clone(), "the lease is old".into())) } else { Ok(()) }
    }

    fn is_full(&self) -> bool {
        self.see(|lane, _| lane.is_full()).unwrap_or(false)
    }

    fn wants_reopening(&self) -> Option<&'static str> {
        self.see(|lane, _| lane.wants_reopening).unwrap_or(None)
    }
}

impl<const MARKS: bool> Drop for FakeFeed<MARKS> {
    fn drop(&mut self) {
        // A test that fails may hold the lock.
        if let Ok(mut state) = self.broker.0.state.lock() {
            let lane = state.lane(self.lane.as_str());
            if lane.is_active(self.id) {
                lane.end_of_the_active_one();
            }
            lane.subscribers.retain(|id| *id != self.id);
        }
        self.broker.stir();
    }
}

impl<const MARKS: bool> Broker for Fake<MARKS> {
    type Feed = FakeFeed<MARKS>;

    const REMEMBERS_MARKS: bool = MARKS;

    fn orders(&self) -> watch::Receiver<Arc<Orders>> {
        self.0.orders.subscribe()
    }

    fn last_owner(&self) -> Option<Duration> {
        self.state().never_owned.then_some(Duration::MAX)
    }

    async fn open_lane(&self, name: &LaneName) -> Result<Self::Feed, BrokerError> {
        self.change(|state| state.opening += 1);
        self.when(|state| !state.opens_wait).await;
        let state = &mut *self.state();
        if let Some(why) = &state.down {
            return Err(BrokerError::Unavailable(why.clone()));
        }
        state.feeds += 1;
        let id = state.feeds;
        let lane = state.lane(name.as_str());
        if let Some(why) = &lane.refused {
            return Err(BrokerError::Refused(why.clone()));
        }
        lane.opened += 1;
        lane.wants_reopening = None;
        lane.subscribers.push_back(id);
        Ok(FakeFeed { broker: self.clone(), lane: name.clone(), id })
    }

    async fn commit(&self, deeds: Vec<Deed>) -> Result<(), BrokerError> {
        self.when(|state| !state.commits_wait).await;
        let mut late = None;
        {
            let state = &mut *self.state();
            if let Some(error) = state.next_commit_fails.take() {
                return Err(error);
            }
            for deed in deeds {
                match deed {
                    Deed::DeadLetter(_, letter) => state.dead.push(letter),
                    Deed::RawDeadLetter(_, letter) => state.raw.push(letter),
                    Deed::Receipt(_, receipt) => state.receipts.push(receipt),
                    Deed::Mark(..) => assert!(MARKS, "nobody asked for marks"),
                    Deed::Count(_, counts) => state.counted += counts.calls,
                    Deed::Ack(ticket) => {
                        let found = state.lanes.iter_mut().find_map(|(_, lane)| lane.unacked.remove(&ticket));
                        if found.is_none() {
                            state.late_acks += 1;
                            let lane = state.lanes.keys().next().cloned();
                            late = lane.map(|lane| BrokerError::LaneLost(lane, "the ticket is not ours".into()));
                        }
                    }
                }
            }
        }
        self.stir();
        late.map_or(Ok(()), Err)
    }
}

/// Ids that are there once each.
pub fn distinct<'i>(ids: impl IntoIterator<Item = &'i str>) -> BTreeSet<&'i str> {
    ids.into_iter().collect()
}
