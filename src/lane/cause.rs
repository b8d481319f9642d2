//! Why an item is dead: said by the lane in the moment in which it buries it.

use crate::{
    call::{Failure, Kind},
    job::ItemFailure,
};

/// Why an item is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The cloud refused it.
    Rejected,
    /// The key may not do it.
    Denied,
    /// The key is not taken.
    Auth,
    /// Nothing helped, attempt after attempt, or its time was up.
    Transient,
    /// Somebody cancelled it.
    Cancelled,
    /// It could never work, so it was never sent.
    Invalid,
    /// An earlier process buried it, and left no more than a code.
    Other,
}

impl Cause {
    /// All of them, in the order in which they are counted.
    pub const ALL: [Self; 7] =
        [Self::Rejected, Self::Denied, Self::Auth, Self::Transient, Self::Cancelled, Self::Invalid, Self::Other];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Denied => "denied",
            Self::Auth => "auth",
            Self::Transient => "transient",
            Self::Cancelled => "cancelled",
            Self::Invalid => "invalid",
            Self::Other => "other",
        }
    }

    /// That of an item whose last call failed so.
    pub(super) fn of(failure: &Failure) -> Self {
        match failure.kind {
            // A throttle is never why something dies, but its time may be up.
            Kind::Throttled | Kind::Transient => Self::Transient,
            Kind::Auth => Self::Auth,
            Kind::Denied => Self::Denied,
            Kind::Rejected => Self::Rejected,
        }
    }

    /// That of an item that was dead before the lane saw it: refused on arrival, or buried before a restart.
    pub(super) fn known(failure: &ItemFailure) -> Self {
        match failure.code.as_str() {
            "cancelled" => Self::Cancelled,
            _ if failure.attempts == 0 => Self::Invalid,
            _ => Self::Other,
        }
    }
}
