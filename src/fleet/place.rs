//! From the config to the broker of a fleet: what every command that talks to RabbitMQ does first.

use crate::{
    broker::rabbitmq::{Address, Names, Tls, Topology},
    config::{self, Broker, Config},
};
use secrecy::ExposeSecret as _;
use std::path::Path;

/// Why a command cannot talk to the broker; all of it is the config's fault.
#[derive(Debug, thiserror::Error)]
pub enum NoFleet {
    /// The config names none.
    #[error("the config names no broker: add `broker: {{ url: amqp://... }}`, or use `tagmill apply` without one")]
    NoBroker,
    /// A secret or a file that it refers to cannot be read, or is no URL.
    #[error("broker.{field}: {why}")]
    Unusable {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// The broker of a config.
pub fn broker(config: &Config) -> Result<&Broker, NoFleet> {
    config.broker.as_ref().ok_or(NoFleet::NoBroker)
}

/// Where it is, with secrets and certificates read.
pub fn address(broker: &Broker) -> Result<Address, NoFleet> {
    let unusable = |field: &'static str| move |why: String| NoFleet::Unusable { field, why };
    let env = |name: &str| std::env::var(name).ok();
    let url = broker.url.resolve(&env).map_err(|error| unusable("url")(error.to_string()))?;
    let ca = broker.tls.ca.as_deref().map(read).transpose().map_err(unusable("tls.ca"))?;
    let certificate = broker.tls.certificate.as_deref().map(read).transpose().map_err(unusable("tls.certificate"))?;
    let key = broker.tls.key.as_deref().map(read).transpose().map_err(unusable("tls.key"))?;
    let identity = certificate.zip(key).map(|(certificate, key)| (certificate.into_bytes(), key.into_bytes()));
    Address::parse(url.expose_secret(), Tls { ca, identity }).map_err(unusable("url"))
}

/// What the config says of exchanges and queues.
pub fn topology(broker: &Broker) -> Topology {
    match broker.topology {
        config::Topology::Declare => Topology::Declare,
        config::Topology::Assert => Topology::Assert,
    }
}

/// What its exchanges and queues are called.
pub fn names(broker: &Broker) -> Result<Names, NoFleet> {
    Names::new(&broker.prefix).map_err(|why| NoFleet::Unusable { field: "prefix", why })
}

/// All of it, as a command that talks to the broker needs it.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where the broker is.
    pub address: Address,
    /// Whether exchanges and queues are made.
    pub topology: Topology,
    /// What they are called.
    pub names: Names,
}

/// The broker of a config, ready to be talked to.
pub fn place(config: &Config) -> Result<Place, NoFleet> {
    let broker = broker(config)?;
    let names = names(broker)?;
    Ok(Place { address: address(broker)?.with_names(names.clone()), topology: topology(broker), names })
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
