//! The nouns between a lane and a provider: a call, its answer, a failure. Neither side knows the other.

mod failure;
mod rectangle;

pub(crate) use failure::request_id;
pub use failure::{Blame, Failure, Kind, Missing};
pub use rectangle::{Answer, Call, Fate, Memo, Moment, Op};
