//! What became of one item while its job goes on.

use super::ItemFailure;

/// Names one delivery until it is acked. Worth nothing after the feed that made it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What a final item came to. On the embedded queue it survives a crash; RabbitMQ has no place for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// It carries its tags.
    Tagged {
        /// A later job's value took its place before it was sent.
        superseded: bool,
    },
    /// It was right already.
    Unchanged,
    /// It failed.
    Dead(ItemFailure),
}
