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
    lane::{Lane, Now, Settings},
    provider::Provider,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

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
}

impl Parts {
    /// The parts of these lanes; one pool of connections serves them all, and those that are the same
    /// somebody share a credential.
    pub(super) fn of(lanes: &[LaneConfig], news: &Arc<Notify>, waits: &Waits) -> Result<Vec<Self>, WorkerError> {
        let client = Client::new().map_err(WorkerError::Client)?;
        let keepers = Keepers::new(client.clone()).map_err(WorkerError::Client)?;
        let parts = lanes.iter().map(|config| {
            let provider = (config.provider.build)(&config.settings)
                .map_err(|why| WorkerError::Provider { lane: config.name.clone(), why })?;
            Ok(Self {
                provider: Arc::from(provider),
                client: client.clone(),
                keeper: keepers.of(config),
                board: Arc::new(Board::new(config.name.clone(), Arc::clone(news))),
                waits: waits.clone(),
                tenure: Arc::default(),
                config: Arc::new(config.clone()),
            })
        });
        parts.collect()
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
        let settings = Settings {
            name: config.name.clone(),
            caps: caps(self.provider.limits()),
            per_second: config.rate.per_second,
            burst: config.rate.burst,
            concurrency: config.concurrency,
            max_attempts: config.retry.max_attempts,
            give_up_after: config.retry.give_up_after,
            capacity: CAPACITY,
            seed: clock::seed(),
            epoch,
            marks,
        };
        Lane::new(settings, Box::new(Names(self.provider.clone())), Now::ZERO)
    }
}
