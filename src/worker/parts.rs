//! What all owners of a lane in this process share, and the machine that each of them begins with.

use super::{
    CAPACITY, Client, Waits, WorkerError, caps, clock,
    credentials::{Keeper, Keepers},
    naming::Names,
    tenure::Tenure,
    view::Board,
};
use crate::{
    broker::Broker,
    config::LaneConfig,
    lane::{Lane, Now, Settings, Tuning},
    provider::Provider,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};

/// The parts of one lane. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) config: Arc<LaneConfig>,
    pub(super) provider: Arc<dyn Provider>,
    pub(super) client: Client,
    pub(super) keeper: Keeper,
    pub(super) board: Arc<Board>,
    pub(super) waits: Waits,
    pub(super) tenure: Arc<Tenure>,
    /// What a lane at work can change.
    pub(super) tuning: Arc<watch::Sender<Tuning>>,
    /// Counts how often the files that the credential comes from have changed.
    pub(super) freshened: Arc<watch::Sender<u64>>,
}

/// What the lanes of a process have in common: one pool of connections, one credential for those that are the same
/// somebody.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    client: Client,
    keepers: Keepers,
    news: Arc<Notify>,
    waits: Waits,
}

impl Stock {
    pub(super) fn new(news: &Arc<Notify>, waits: &Waits) -> Result<Self, WorkerError> {
        let client = Client::new().map_err(WorkerError::Client)?;
        let keepers = Keepers::new(client.clone()).map_err(WorkerError::Client)?;
        Ok(Self { client, keepers, news: Arc::clone(news), waits: waits.clone() })
    }

    /// The parts of a lane.
    pub(super) fn parts(&self, config: &LaneConfig) -> Result<Parts, WorkerError> {
        let provider = (config.provider.build)(&config.settings)
            .map_err(|why| WorkerError::Provider { lane: config.name.clone(), why })?;
        Ok(Parts {
            provider: Arc::from(provider),
            client: self.client.clone(),
            keeper: self.keepers.of(config),
            board: Arc::new(Board::new(config.name.clone(), Arc::clone(&self.news))),
            waits: self.waits.clone(),
            tenure: Arc::default(),
            tuning: Arc::new(watch::Sender::new(tuning(config))),
            freshened: Arc::new(watch::Sender::new(0)),
            config: Arc::new(config.clone()),
        })
    }
}

/// What of a lane's config it can change while it works.
pub(super) fn tuning(config: &LaneConfig) -> Tuning {
    Tuning {
        per_second: config.rate.per_second,
        burst: config.rate.burst,
        concurrency: config.concurrency,
        max_attempts: config.retry.max_attempts,
        give_up_after: config.retry.give_up_after,
    }
}

impl Parts {
    /// The parts of these lanes.
    pub(super) fn of(lanes: &[LaneConfig], news: &Arc<Notify>, waits: &Waits) -> Result<Vec<Self>, WorkerError> {
        let stock = Stock::new(news, waits)?;
        lanes.iter().map(|config| stock.parts(config)).collect()
    }

    /// The lane under another config: it is shown and counted as before, and everything else begins anew. A lane that
    /// reads before it writes knows nothing then of its last writes, so it is as if another worker had had it.
    pub(super) fn renewed(&self, fresh: Self) -> Self {
        Self { board: Arc::clone(&self.board), ..fresh }
    }

    /// How long somebody who takes the lane over now stays away from the cloud: until every read shows what an earlier
    /// owner wrote.
    pub(super) fn stays_away<B: Broker>(&self, broker: &B) -> Duration {
        let wait = self.tenure.wait(self.provider.settles(), broker.last_owner(), clock::monotonic());
        if !wait.is_zero() {
            tracing::info!(lane = %self.config.name, ?wait, "waits until every read shows what an earlier owner wrote");
        }
        wait
    }

    /// A machine with nothing to do and an empty rate bucket. `epoch` is the wall clock now, `marks` whether the broker
    /// remembers them.
    pub(super) fn machine(&self, epoch: Timestamp, marks: bool) -> Lane {
        let config = &self.config;
        let Tuning { per_second, burst, concurrency, max_attempts, give_up_after } = *self.tuning.borrow();
        let settings = Settings {
            name: config.name.clone(),
            caps: caps(self.provider.limits()),
            per_second,
            burst,
            concurrency,
            max_attempts,
            give_up_after,
            capacity: CAPACITY,
            seed: clock::seed(),
            epoch,
            marks,
        };
        Lane::new(settings, Box::new(Names(self.provider.clone())), Now::ZERO)
    }
}
