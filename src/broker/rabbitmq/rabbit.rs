//! The broker of a fleet as a worker uses it: two connections, a lease, and a feed per lane.

use super::{
    address::Address,
    board::{Board, LaneHeld, OpenFeed},
    commit,
    consuming::{Companion, Consuming, Task},
    fault::PATIENCE,
    feed::RabbitFeed,
    keeper::Keeper,
    lane_channel::LaneChannel,
    lease::{self, Lease},
    link::LinkState,
    names::Names,
    publisher::Publisher,
    topology::Topology,
    window::Window,
};
use crate::{
    broker::{Broker, BrokerError, CallCounts, Deed, Orders},
    job::LaneName,
};
use sha2::{Digest as _, Sha256};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, oneshot, watch};

/// The highest consumer priority that was ever tried.
const HIGHEST: u64 = 2_000_000_000;
/// Urgent messages a lane may hold, as a part of the others.
const URGENT_SHARE: u16 = 4;
/// Commits of one lane that may wait for its keeper. A lane commits one at a time.
const COMMITS: usize = 16;

/// Who we are and how much we take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the broker is.
    pub address: Address,
    /// What its exchanges and queues are called.
    pub names: Names,
    /// Whether they are made or only checked.
    pub topology: Topology,
    /// The worker's id: unique in the fleet, shown as consumer tag and in the names of connections.
    pub worker: String,
    /// What one lane holds at most.
    pub window: Window,
    /// Calls a second of each lane; a lane that is not here is not bounded by its rate.
    pub rates: HashMap<LaneName, f64>,
    /// Age at which messages that are held are given back and taken again. Below the broker's own timeout (30 minutes
    /// unless configured), which would take the lane away.
    pub renew_after: Duration,
    /// Whether somebody reads the standing orders for it: then no lane is opened before that was done once, because it
    /// may be paused.
    pub heeds_orders: bool,
}

impl Settings {
    /// The usual settings.
    pub fn new(address: Address, worker: &str) -> Self {
        Self {
            address,
            names: Names::default(),
            topology: Topology::default(),
            worker: worker.to_owned(),
            window: Window::default(),
            rates: HashMap::new(),
            renew_after: Duration::from_mins(20),
            heeds_orders: false,
        }
    }
}

/// The broker of a fleet. Clones share its connections; they close when the last clone and the last feed are gone.
#[derive(Clone, Debug)]
pub struct Rabbit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    publisher: Publisher,
    consuming: Arc<Consuming>,
    lease: Lease,
    board: Arc<Board>,
    orders: watch::Sender<Arc<Orders>>,
    /// The orders have been read, or nobody will.
    ordered: watch::Sender<bool>,
    _proving: Task,
}

/// Both connections at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RabbitState {
    /// The one that lanes consume on.
    pub consuming: LinkState,
    /// The one that everything is published on.
    pub publishing: LinkState,
}

impl Rabbit {
    /// Starts to connect for publishing, and to prove the lease. The connection for consuming is made when the first
    /// lane is opened. Runs inside a tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let settings = Settings { address: settings.address.clone().with_names(settings.names.clone()), ..settings };
        let Settings { address, names, topology, worker, .. } = &settings;
        let name = |what: &str| format!("tagmill {worker} {what}");
        let lease = Lease::new(address.heartbeat());
        let publisher = Publisher::start(address.clone(), name("publishing"), *topology);
        let consuming = Consuming::new(address.clone(), name("consuming"), *topology, lease.clone());
        let consuming = Arc::new(consuming);
        let proving = lease::prove(lease.clone(), publisher.clone(), Arc::clone(&consuming), names.clone());
        let inner = Inner {
            publisher,
            consuming,
            lease,
            board: Arc::default(),
            orders: watch::Sender::default(),
            ordered: watch::Sender::new(!settings.heeds_orders),
            _proving: Task::spawn(proving),
            settings,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What everything is called.
    pub fn names(&self) -> &Names {
        &self.inner.settings.names
    }

    /// For publishing beside the lanes: answers, notes, replays.
    pub fn publisher(&self) -> &Publisher {
        &self.inner.publisher
    }

    /// The proof that our lanes are ours.
    pub fn lease(&self) -> &Lease {
        &self.inner.lease
    }

    /// How its connections are.
    pub fn state(&self) -> RabbitState {
        let consuming = self.inner.consuming.state().borrow().clone();
        RabbitState { consuming, publishing: self.inner.publisher.state().borrow().clone() }
    }

    /// How the connection for consuming is, and every change of it.
    pub fn consuming_state(&self) -> watch::Receiver<LinkState> {
        self.inner.consuming.state()
    }

    /// What a lane of this worker holds; nothing where it was never opened here.
    pub fn held(&self, lane: &LaneName) -> Option<LaneHeld> {
        self.inner.board.held(lane)
    }

    /// Calls made on a lane by this worker.
    pub fn counts(&self, lane: &LaneName) -> CallCounts {
        self.inner.board.counts(lane)
    }

    /// Where the standing orders are written to by whoever reads them from the broker.
    pub fn orders_sender(&self) -> watch::Sender<Arc<Orders>> {
        self.inner.orders.clone()
    }

    /// To be told `true` when the standing orders have been read for the first time.
    pub fn ordered_sender(&self) -> watch::Sender<bool> {
        self.inner.ordered.clone()
    }

    /// Runs something beside the lanes on every consuming connection from now on, as long as that lives. It must not
    /// keep this `Rabbit`, which would keep it in turn: what it needs is [`Rabbit::publisher`] and
    /// [`Rabbit::orders_sender`].
    pub fn on_connect(&self, companion: Companion) {
        self.inner.consuming.add(companion);
    }

    /// Says goodbye on the connection for consuming. To be called when every feed is closed.
    pub async fn close(&self) {
        self.inner.consuming.close().await;
    }

    /// The standing orders are known, or why not.
    async fn ordered(&self) -> Result<(), BrokerError> {
        let mut ordered = self.inner.ordered.subscribe();
        match tokio::time::timeout(PATIENCE, ordered.wait_for(|known| *known)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(BrokerError::Unavailable(
                "no lane can be taken before the fleet's standing orders are read: it may be paused".into(),
            )),
        }
    }

    /// The lease is fresh, or why not.
    async fn leased(&self) -> Result<(), BrokerError> {
        let fresh = tokio::time::timeout(PATIENCE, self.inner.lease.fresh()).await;
        fresh.map_err(|_| {
            let why = match &*self.inner.publisher.state().borrow() {
                LinkState::Up => "it is up, and nothing is confirmed".to_owned(),
                LinkState::Blocked(why) => format!("it is blocked: {why}"),
                LinkState::Lost(why) => why.clone(),
            };
            BrokerError::Unavailable(format!("no lane can be taken before something can be published: {why}"))
        })
    }
}

impl Broker for Rabbit {
    type Feed = RabbitFeed;

    const REMEMBERS_MARKS: bool = false;
    const SYSTEM: &'static str = "rabbitmq";

    fn orders(&self) -> watch::Receiver<Arc<Orders>> {
        self.inner.orders.subscribe()
    }

    async fn open_lane(&self, lane: &LaneName) -> Result<RabbitFeed, BrokerError> {
        let Inner { settings, consuming, lease, board, .. } = &*self.inner;
        let link = consuming.link().await?;
        self.leased().await?;
        self.ordered().await?;
        let channel = link.channel().await?;
        settings.topology.lane(&channel, &settings.names, lane).await?;
        let usual = settings.window.prefetch(settings.rates.get(lane).copied());
        let prefetch = board.fits(lane).map_or(usual, |fits| fits.min(usual));
        let weight = weight(lane, &settings.worker);
        let of = |channel, queue, prefetch| LaneChannel::new(channel, queue, &settings.worker, prefetch, weight);
        let urgent_prefetch = (prefetch / URGENT_SHARE).max(1);
        let urgent = of(link.channel().await?, settings.names.urgent_queue(lane), urgent_prefetch);
        let mut channel = of(channel, settings.names.lane_queue(lane), prefetch);
        channel.subscribe().await?;

        let (handed, arriving) = mpsc::channel(usize::from(prefetch) + 1);
        // A consumer that is begun again may bring as many as the one before has left.
        let (urgent_handed, urgent_arriving) = mpsc::channel(2 * usize::from(urgent_prefetch) + 1);
        let (acks, to_ack) = mpsc::channel(COMMITS);
        let (stop, stopped) = oneshot::channel();
        let (number, state) = (board.number(), Arc::default());
        board.add(number, OpenFeed { lane: lane.clone(), acks, state: Arc::clone(&state) });
        let feed = RabbitFeed::new(
            lane.clone(),
            channel.channel().clone(),
            lease.clone(),
            Arc::clone(&state),
            (urgent_arriving, arriving),
            stop,
        );
        let keeper = Keeper {
            lane: lane.clone(),
            feed: number,
            main: (channel, handed),
            urgent: (urgent, urgent_handed),
            link,
            publisher: self.inner.publisher.clone(),
            acks: to_ack,
            stop: stopped,
            state,
            board: Arc::clone(board),
            window: settings.window,
            usual,
            prefetch,
            urgent_prefetch,
            renew_after: settings.renew_after,
        };
        tokio::spawn(keeper.run());
        Ok(feed)
    }

    async fn commit(&self, deeds: Vec<Deed>) -> Result<(), BrokerError> {
        commit::commit(&self.inner.board, self.names(), &self.inner.publisher, deeds).await
    }
}

/// How much a worker wants a lane: the same for ever, and spread evenly, so that the workers of a fleet agree on who
/// takes which without a word, and few lanes move when one comes or goes.
fn weight(lane: &LaneName, worker: &str) -> i32 {
    let mut hash = Sha256::new();
    hash.update(lane.as_str());
    hash.update([0]);
    hash.update(worker);
    let digest = hash.finalize();
    let first = digest.iter().take(8).fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
    // It is at most two thousand million.
    i32::try_from(1 + first % HIGHEST).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(n: usize) -> LaneName {
        LaneName::new(&format!("lane-{n}")).unwrap()
    }

    #[test]
    fn lanes_spread_over_workers_and_few_move_when_one_leaves() {
        let workers = ["a", "b", "c", "d"];
        let owner = |n: usize, among: &[&'static str]| *among.iter().max_by_key(|w| weight(&lane(n), w)).unwrap();
        for worker in workers {
            let lanes = (0..1000).filter(|n| owner(*n, &workers) == worker).count();
            assert!((200..300).contains(&lanes), "{worker} has {lanes} of 1000");
        }
        for n in 0..1000 {
            let before = owner(n, &workers);
            assert!(before == "d" || owner(n, &workers[..3]) == before, "a lane of {before} moved");
        }
        assert_eq!(weight(&lane(0), "a"), weight(&lane(0), "a"));
        assert!((0..1000).all(|n| weight(&lane(n), "a") >= 1));
    }
}
