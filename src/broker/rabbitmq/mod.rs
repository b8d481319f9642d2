//! RabbitMQ: a quorum queue with one active consumer a lane, and everything a fleet shares beside it.
//!
//! Nothing here is repaired in place. A connection, a channel or a consumer that fails is dropped, the lanes on it are
//! lost, and everything that was not acked is handed out again, to us or to another worker.

pub mod address;
pub mod batch;
pub mod commit;
pub mod control;
pub mod dead;
pub mod depth;
pub mod flush;
pub mod intake;
pub mod lease;
pub mod link;
pub mod lock;
pub mod message;
pub mod names;
pub mod orders;
pub mod publisher;
pub mod tally;
pub mod topology;
pub mod unrouted;
pub mod watch;

mod arrival;
mod board;
mod consuming;
mod fault;
mod feed;
mod held;
mod keeper;
mod lane_channel;
mod line;
mod order;
mod own;
mod rabbit;
mod walk;
mod window;

pub use address::{Address, Tls};
pub use batch::Batch;
pub use board::LaneHeld;
pub use consuming::Companion;
pub use depth::{Depth, Gauge};
pub use feed::RabbitFeed;
pub use lease::Lease;
pub use link::{Link, LinkState};
pub use lock::Lock;
pub use message::Message;
pub use names::Names;
pub use publisher::Publisher;
pub use rabbit::{Rabbit, RabbitState, Settings};
pub use tally::Tally;
pub use topology::Topology;
pub use window::Window;
