//! The queues of the config's lanes: made before anything is handed in, so that no job of a known lane is an unknown one's.

use crate::{
    broker::{BrokerError, rabbitmq::Link},
    config::Broker,
    event::LaneFacts,
    fleet::place::{self, NoFleet},
};
use std::time::Duration;
use tokio::sync::watch;

/// Wait before another try.
const AGAIN: Duration = Duration::from_secs(2);

/// Why they are not there.
#[derive(Debug, thiserror::Error)]
enum Homeless {
    #[error(transparent)]
    Config(#[from] NoFleet),
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Makes them, or checks that they are there where the config says `topology: assert`, until that has worked once.
pub(super) async fn make(broker: Broker, lanes: Vec<LaneFacts>, done: watch::Sender<bool>) {
    let mut told = None;
    while let Err(why) = once(&broker, &lanes).await {
        let why = why.to_string();
        if told.as_ref() != Some(&why) {
            tracing::warn!(%why, "nothing is taken in before the lanes have their queues");
            told = Some(why);
        }
        tokio::time::sleep(AGAIN).await;
    }
    done.send_replace(true);
}

async fn once(broker: &Broker, lanes: &[LaneFacts]) -> Result<(), Homeless> {
    let (names, topology) = (place::names(broker)?, place::topology(broker));
    let address = place::address(broker)?.with_names(names.clone());
    let link = Link::open(&address, "tagmill server queues").await?;
    let made = async {
        topology.prepare(&link).await?;
        let channel = link.channel().await?;
        for lane in lanes {
            topology.lane(&channel, &names, &lane.name).await?;
        }
        Ok::<(), BrokerError>(())
    };
    let made = made.await;
    link.close().await;
    Ok(made?)
}
