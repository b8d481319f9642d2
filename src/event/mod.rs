//! Cloud events to jobs: read what a cloud says, decide by rules, and say why.
//!
//! ```text
//!  headers, bytes ── read ──> Event ── Rules::decide (known, paths, template) ──> Decision: jobs, and what became of it
//! ```
//!
//! Pure: time comes in as an argument, and every piece of work that an event can cause is bounded.

mod alibaba;
mod aws;
mod cloudevents;
mod decide;
mod envelope;
mod huawei;
pub mod known;
mod lanes;
mod path;
mod read;
mod rule;
mod seen;
pub mod signature;
mod template;
#[cfg(test)]
mod tests;

pub use decide::{Decision, Ignored, Met, RuleOutcome, TagOutcome, Trouble};
pub use lanes::LaneFacts;
pub use read::{EVENT_BYTES, EVENTS_AT_ONCE, Unreadable, read};
pub use rule::{BadRule, EventName, Ids, LaneSpec, Options, RuleSpec, Rules};
pub use seen::{Seen, Standing};

use jiff::Timestamp;
use serde_json::Value;
use std::fmt;

/// Who an event came from, and so how it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Amazon EventBridge: CloudTrail records and other events in its envelope.
    Aws,
    /// EventBridge of Alibaba Cloud: ActionTrail records as CloudEvents.
    Alibaba,
    /// Huawei Cloud: traces of CTS, as CloudEvents or in the wrapper of a function trigger.
    Huawei,
    /// Anything else that speaks CloudEvents; rules have to say where the ids are.
    CloudEvents,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Aws, Self::Alibaba, Self::Huawei, Self::CloudEvents];

    /// The name in the config and in the path of the HTTP interface.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Alibaba => "alibaba",
            Self::Huawei => "huawei",
            Self::CloudEvents => "cloudevents",
        }
    }

    /// The source of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.as_str() == name)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One event, with what every cloud says in its own words.
#[derive(Clone, PartialEq)]
pub struct Event {
    /// The cloud.
    pub cloud: Source,
    /// With `id` its identity: an event that comes twice has both the same.
    pub source: String,
    /// See `source`.
    pub id: String,
    /// The service in lower case, such as `ec2`; empty where nobody says.
    pub service: String,
    /// What happened, such as `RunInstances`.
    pub name: String,
    /// When it happened.
    pub time: Option<Timestamp>,
    /// The account it happened in.
    pub account: Option<String>,
    /// The region it happened in.
    pub region: Option<String>,
    /// Huawei Cloud: the project it happened in.
    pub project: Option<String>,
    /// Who did it, as a person would be called.
    pub creator: Option<String>,
    /// Why nothing follows from it, where that is plain from the event alone.
    pub ignored: Option<Ignored>,
    /// The record: `detail` of AWS, `data` of Alibaba Cloud, the trace of Huawei Cloud.
    pub record: Value,
}

/// A record can hold anything: it is not shown.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("cloud", &self.cloud)
            .field("source", &self.source)
            .field("id", &self.id)
            .field("service", &self.service)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
