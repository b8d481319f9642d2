//! What all owners of a lane in this process share, and the machine that each of them begins with.

use super::{CAPACITY, Client, Waits, WorkerError, clock, credentials::Keeper, naming::Names, view::Board};
use crate::{
    config::LaneConfig,
    lane::{Lane, Now, Settings},
    plan::Caps,
    provider::Provider,
};
use jiff::Timestamp;
use std::sync::Arc;
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
}

impl Parts {
    /// The parts of these lanes; one pool of connections serves them all.
    pub(super) fn of(lanes: &[LaneConfig], news: &Arc<Notify>, waits: &Waits) -> Result<Vec<Self>, WorkerError> {
        let client = Client::new().map_err(WorkerError::Client)?;
        let parts = lanes.iter().map(|config| {
            let provider = (config.provider.build)(&config.settings)
                .map_err(|why| WorkerError::Provider { lane: config.name.clone(), why })?;
            Ok(Self {
                provider: Arc::from(provider),
                client: client.clone(),
                keeper: Keeper::new(config, client.clone()),
                board: Arc::new(Board::new(config.name.clone(), Arc::clone(news))),
                waits: waits.clone(),
                config: Arc::new(config.clone()),
            })
        });
        parts.collect()
    }

    /// A machine with nothing to do and an empty rate bucket. `epoch` is the wall clock now, `marks` whether the broker
    /// remembers them.
    pub(super) fn machine(&self, epoch: Timestamp, marks: bool) -> Lane {
        let (config, limits) = (&self.config, self.provider.limits());
        let settings = Settings {
            name: config.name.clone(),
            caps: Caps { resources: limits.resources_per_call, tags: limits.tags_per_call, keys: limits.keys_per_call },
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
