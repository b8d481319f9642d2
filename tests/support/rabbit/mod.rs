//! RabbitMQ for tests: the shared broker of a run, and nodes of a test's own that it may starve, kill and restart.
//!
//! ```ignore
//! #[path = "../support/rabbit/mod.rs"]
//! mod rabbit;
//!
//! let Some(url) = rabbit::shared_broker().await else { return };
//! let Some(mut node) = rabbit::Node::start().await else { return };
//! ```
//!
//! `None` means that the environment asked to leave such tests out, and says so on stderr; whatever else is missing
//! panics with what to do about it. A shared broker belongs to everybody: use `unique` names and remove them, and do
//! faults on a node. Modules of tests that start nodes are called `node...` or `fault...`: `.config/nextest.toml` runs
//! those two at a time. The environment variables are listed in `scripts/broker.sh`.
#![allow(dead_code, unused_imports, reason = "each test crate uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod certificates;
mod cluster;
mod control;
mod epmd;
#[path = "../eventually.rs"]
mod eventually;
mod guard;
mod installation;
mod node;
mod ports;
mod setup;
mod shared;
pub mod wire;

pub use certificates::Certificates;
pub use cluster::Cluster;
pub use eventually::{eventually, unique, within};
pub use node::Node;
pub use ports::free_port;
pub use setup::{ClientCertificate, Setup};
pub use shared::{nodes_are_left_out, shared_broker};
pub use wire::answers;
