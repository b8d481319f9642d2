//! The job: which resources of one lane get which tags.

use super::{JobId, LaneName, Resource, Trace};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, collections::BTreeSet, fmt, sync::Arc};

/// The version of the job message that this build reads and writes.
pub const VERSION: u64 = 1;

/// Whether a job came from a person's bulk file or from a resource that was just created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Work that may wait its turn.
    #[default]
    Bulk,
    /// Work that a creation event asked for; it goes ahead of bulk work.
    Event,
}

/// The job that a replayed job came from, and how often it has been replayed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The id of the dead letter it was taken from.
    pub of: String,
    /// 1 at the first replay.
    pub count: u32,
}

/// What a job carries besides its work. Rarely used fields live here, so that a pending job stays small.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Where the job came from, such as `csv:servers.csv`.
    pub source: Option<Arc<str>>,
    /// The batch it was submitted in.
    pub batch: Option<Arc<str>>,
    /// When the job was made.
    pub created_at: Option<Timestamp>,
    /// Bulk or event.
    pub priority: Priority,
    /// Whether a tag that is already there may be replaced (where the API can tell).
    pub overwrite: bool,
    /// Until then "not found" means "not there yet".
    pub not_found_until: Option<Timestamp>,
    /// Set when this job is a replay.
    pub replay: Option<Replay>,
    /// Carried and ignored. Boxed because hardly any job has it.
    pub ext: Option<Box<serde_json::Map<String, serde_json::Value>>>,
    /// The trace that the message belongs to. It travels in headers beside the message, so it is no part of the job's
    /// JSON and says nothing of the job's identity.
    pub trace: Option<Trace>,
}

impl Extras {
    /// The extras of a job that says nothing: overwrite, bulk.
    pub fn none() -> Self {
        Self { overwrite: true, ..Self::default() }
    }
}

/// A job whose every field has been checked. Made by [`super::parse`].
#[derive(Clone, PartialEq)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// Where it goes.
    pub lane: LaneName,
    /// What it is about: at least one, none twice.
    pub resources: Vec<Resource>,
    /// Tags to set.
    pub set: BTreeMap<Arc<str>, Arc<str>>,
    /// Keys to remove; none of them is also set.
    pub unset: BTreeSet<Arc<str>>,
    /// Everything else.
    pub extras: Extras,
}

/// Debug output never shows a tag value: values can be personal data.
impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("id", &self.id)
            .field("lane", &self.lane)
            .field("resources", &self.resources.len())
            .field("set", &self.set.keys().collect::<Vec<_>>())
            .field("unset", &self.unset)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct Wire<'a> {
    version: u64,
    id: &'a JobId,
    lane: &'a LaneName,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: &'a BTreeMap<Arc<str>, Arc<str>>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    unset: &'a BTreeSet<Arc<str>>,
    resources: &'a [Resource],
    #[serde(skip_serializing_if = "Option::is_none")]
    source: &'a Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: &'a Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_bulk")]
    priority: Priority,
    #[serde(skip_serializing_if = "is_true")]
    overwrite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_found_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: &'a Option<Replay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ext: &'a Option<Box<serde_json::Map<String, serde_json::Value>>>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_bulk(priority: &Priority) -> bool {
    *priority == Priority::Bulk
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_true(flag: &bool) -> bool {
    *flag
}

/// The wire form of version 1. What it writes, [`super::parse`] reads back as the same job, but for the trace.
impl Serialize for Job {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        Wire {
            version: VERSION,
            id: &self.id,
            lane: &self.lane,
            set: &self.set,
            unset: &self.unset,
            resources: &self.resources,
            source: &self.extras.source,
            batch: &self.extras.batch,
            created_at: self.extras.created_at,
            priority: self.extras.priority,
            overwrite: self.extras.overwrite,
            not_found_until: self.extras.not_found_until,
            replay: &self.extras.replay,
            ext: &self.extras.ext,
        }
        .serialize(out)
    }
}
