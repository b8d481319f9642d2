//! The nouns everybody speaks: lane, resource, tags, job, dead letter, receipt.
//!
//! This room imports nothing of ours. A value of these types has been checked: the raw side is [`parse`].

mod dead_letter;
mod ids;
mod mark;
mod message;
mod node;
pub mod parse;
mod problem;
mod receipt;
mod resource;
pub mod rules;
pub mod schema;
mod stable_id;
pub mod suggest;
mod trace;

pub use dead_letter::{DEAD_LETTER_BYTES, DeadLetter, ItemFailure, dead_letters};
pub use ids::{BadName, JobId, LaneName};
pub use mark::{Mark, Ticket};
pub use message::{Extras, Job, Priority, Replay, VERSION};
pub use problem::Problem;
pub use receipt::Receipt;
pub use resource::Resource;
pub use stable_id::{stable_hash, stable_id};
pub use trace::{TRACEPARENT, TRACESTATE, Trace};
