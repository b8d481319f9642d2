//! The config: raw as written, valid as proven; loaded from a file and the environment.

mod broker;
pub mod credentials;
mod duration;
mod env;
mod events;
mod expand;
#[cfg(test)]
pub(crate) mod fake;
mod lane;
mod lanes;
mod load;
mod overlap;
pub mod raw;
mod read;
mod rules;
pub mod secret;
mod server;
#[cfg(test)]
mod tests;
mod tree;
mod valid;

pub use broker::{Broker, BrokerTls, Topology, Window};
pub use credentials::{Base, Cloud, Credentials, Places, Role, Source};
pub use duration::read as duration;
pub use events::{AlibabaEvents, EventQueue, Events};
pub use expand::Expansion;
pub use lane::{LaneConfig, Mode, Rate, Retry};
#[cfg(test)]
pub(crate) use load::parse_with;
pub use load::{ConfigError, DEFAULT_PATH, load, parse};
pub use read::Complaint;
pub use secret::{Secret, SecretError};
pub use server::{Scope, Server, ServerLimits, Token};
pub use valid::Config;
