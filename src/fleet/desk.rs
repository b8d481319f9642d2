//! Connections to the broker of a fleet for one task of an operator: opened, used and closed with it.

use super::place::{self, NoFleet};
use crate::{
    broker::{
        BrokerError,
        rabbitmq::{Address, Link, Publisher, Topology},
    },
    config::Broker,
};

/// Where an operator's command works.
#[derive(Debug)]
pub struct Desk {
    /// The connection for everything but publishing.
    pub link: Link,
    address: Address,
    topology: Topology,
    name: String,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum NoDesk {
    /// The config says too little or something wrong.
    #[error(transparent)]
    Config(#[from] NoFleet),
    /// The broker cannot be used.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

impl Desk {
    /// Connects. `command` is what operators see in the broker's list of connections.
    pub async fn open(broker: &Broker, command: &str) -> Result<Self, NoDesk> {
        let address = place::address(broker)?.with_names(place::names(broker)?);
        let topology = place::topology(broker);
        let name = format!("tagmill {command}");
        let link = Link::open(&address, &name).await?;
        Ok(Self { link, address, topology, name })
    }

    /// A connection that publishes; it makes the exchanges and queues where they are missing. Call it once.
    pub fn publisher(&self) -> Publisher {
        Publisher::start(self.address.clone(), self.name.clone(), self.topology)
    }

    /// Says goodbye.
    pub async fn close(&self) {
        self.link.close().await;
    }
}
