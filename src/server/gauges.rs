//! What the broker holds, asked again and again for whoever scrapes: a look every 15 seconds, however often that is.

use super::{eldest::Eldest, state::State};
use crate::{
    broker::{
        BrokerError,
        rabbitmq::{Depth, Gauge, Link},
    },
    fleet::place::{self, NoFleet},
    job::LaneName,
    telemetry::Broker,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Wait between two looks.
const AGAIN: Duration = Duration::from_secs(15);

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
enum Blind {
    #[error(transparent)]
    Config(#[from] NoFleet),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Looks for ever. While the broker cannot be asked nothing is told of it: an old number would be a lie.
pub(super) async fn keep(state: Arc<State>) {
    loop {
        if let Err(why) = watch(&state).await {
            state.metrics.broker(None);
            tracing::debug!(%why, "what the broker holds is unknown for now");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Looks as long as one connection lasts.
async fn watch(state: &State) -> Result<(), Blind> {
    let address = place::address(&state.broker)?.with_names(state.names.clone());
    let link = Link::open(&address, "tagmill server gauges").await?;
    let mut eldest = Eldest::new();
    loop {
        match look(state, &link, &mut eldest).await {
            Ok(found) => state.metrics.broker(Some(&found)),
            Err(error) => {
                link.close().await;
                return Err(error.into());
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn look(state: &State, link: &Link, eldest: &mut Eldest) -> Result<Broker, BrokerError> {
    let mut gauge = Gauge::new(link);
    let ready = |depth: Option<Depth>| depth.map(|depth| depth.ready);
    let mut found = Broker {
        dead: ready(gauge.depth(state.names.dead()).await?),
        poison: ready(gauge.depth(state.names.poison()).await?),
        unrouted: ready(gauge.depth(state.names.unrouted()).await?),
        oldest: None,
        lanes: Vec::new(),
    };
    // The lanes of the config, and those that came with a config that was taken over later.
    let mut lanes: BTreeMap<String, String> =
        state.live().lanes.iter().map(|lane| (lane.name.to_string(), lane.provider.clone())).collect();
    lanes.extend((state.lanes_now)().into_iter().map(|lane| (lane.lane, lane.provider.to_owned())));
    for (lane, provider) in lanes {
        let Ok(name) = LaneName::new(&lane) else { continue };
        let Some(queue) = gauge.depth(&state.names.lane_queue(&name)).await? else { continue };
        let urgent = gauge.depth(&state.names.urgent_queue(&name)).await?.map_or(0, |queue| queue.ready);
        found.lanes.push((lane, provider, queue.ready + urgent, queue.consumers));
    }
    gauge.close().await;
    if let Some(letters) = found.dead {
        found.oldest = Some(eldest.age(link, letters).await?.as_secs_f64());
    }
    Ok(found)
}
