//! RabbitMQ: a quorum queue with one active consumer a lane, and everything a fleet shares beside it.
//!
//! Nothing here is repaired in place. A connection, a channel or a consumer that fails is dropped, the lanes on it are
//! lost, and everything that was not acked is handed out again, to us or to another worker.

pub mod address;
pub mod control;
pub mod dead;
pub mod depth;
pub mod flush;
pub mod link;
pub mod lock;
pub mod message;
pub mod names;
pub mod orders;
pub mod publisher;
pub mod topology;
pub mod unrouted;

mod fault;
mod own;
mod walk;

pub use address::{Address, Tls};
pub use depth::{Depth, Gauge};
pub use link::{Link, LinkState};
pub use lock::Lock;
pub use message::Message;
pub use publisher::Publisher;
pub use topology::Topology;
