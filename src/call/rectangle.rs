//! A call before it is bytes, and what came of it.

use super::Failure;
use crate::job::Resource;
use jiff::Timestamp;
use std::{fmt, sync::Arc};

/// Whether a call sets tags or removes them. Only a call that replaces a whole set does both, see [`Call::also_unset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// Set keys to values.
    Set,
    /// Remove keys.
    Unset,
}

/// One rectangle of work: every resource gets every tag. Within the provider's limits, nothing twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Set or unset.
    pub op: Op,
    /// The resources, in the order their fates are answered in.
    pub resources: Vec<Resource>,
    /// Keys with values in byte order of the keys; values are empty for [`Op::Unset`].
    pub tags: Vec<(Arc<str>, Arc<str>)>,
    /// Keys removed in the same write, in byte order; none of them is in `tags`. Empty unless the API replaces the whole
    /// set of a resource and the call sets something.
    pub also_unset: Vec<Arc<str>>,
    /// Keys of `tags` that keep the value they have and are set only where they have none. Empty unless the API is read
    /// first.
    pub only_missing: Vec<Arc<str>>,
}

/// Debug output names keys, never values.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("op", &self.op)
            .field("resources", &self.resources.iter().map(|r| &r.id).collect::<Vec<_>>())
            .field("keys", &self.tags.iter().map(|(key, _)| key).collect::<Vec<_>>())
            .field("also_unset", &self.also_unset)
            .field("only_missing", &self.only_missing)
            .finish()
    }
}

/// The instant and the nonce of one attempt. Both are new on every attempt, retries included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time that goes into the signature.
    pub now: Timestamp,
    /// Text never used before.
    pub nonce: String,
}

/// What a provider remembers between the requests of one call (read, then write).
#[derive(Clone, PartialEq, Eq)]
pub struct Memo(pub Vec<u8>);

/// A memo may hold tag values, so its debug output shows its size only.
impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memo({} bytes)", self.0.len())
    }
}

/// What became of one resource of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The call's tags are on it.
    Tagged,
    /// They are, but for these keys, which had a value and kept it: see [`Call::only_missing`].
    Kept(Vec<Arc<str>>),
    /// They were on it already, or have a value that stays.
    Unchanged,
    /// They are not; whether to try again is for the failure's kind to say.
    Failed(Failure),
}

/// What a reply means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// One fate per resource of the call, in its order.
    Finished(Vec<Fate>),
    /// The call needs another request. It is signed when it leaves, so only the memo is kept.
    FollowUp(Memo),
    /// The whole call failed.
    Failure(Failure),
}
