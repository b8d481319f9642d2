//! The receipt: what became of a job, in numbers that add up.

use super::{JobId, LaneName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The summary published when a job is finished: accepted = tagged + unchanged + dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Version of this document, 1.
    pub version: u64,
    /// Stable over crashes: a hash of job id and replay count.
    pub id: String,
    /// The job it speaks of.
    pub job: JobId,
    /// Its lane.
    pub lane: LaneName,
    /// The batch it was submitted in.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch: Option<String>,
    /// Items taken on.
    pub accepted: u64,
    /// Items that carry their tags now.
    pub tagged: u64,
    /// Of the tagged: items whose value a later job replaced before it was sent.
    pub superseded: u64,
    /// Items that were right already.
    pub unchanged: u64,
    /// Items in the dead letter.
    pub dead: u64,
    /// Calls that carried an item of this job. A call shared by several jobs counts for each of them.
    pub calls: u64,
    /// Retries among those calls.
    pub retries: u64,
    /// When the first call with an item of this job left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_attempt: Option<Timestamp>,
    /// When the last one left.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_attempt: Option<Timestamp>,
    /// When the last item became final.
    pub finished_at: Timestamp,
    /// Milliseconds from taking the job on to its last item being final. A job that came back after a crash is taken on
    /// anew; one that never reached a lane took none.
    #[serde(default)]
    pub duration_ms: u64,
    /// The trace that the job's message belonged to, as W3C `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace: Option<String>,
}

impl Receipt {
    /// Whether the numbers add up. They always must.
    pub fn adds_up(&self) -> bool {
        self.accepted == self.tagged + self.unchanged + self.dead && self.superseded <= self.tagged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_from_before_it_had_a_duration_and_a_trace_is_still_read() {
        let old = r#"{"version":1,"id":"r-1","job":"j-1","lane":"huawei","accepted":2,"tagged":2,"superseded":0,
            "unchanged":0,"dead":0,"calls":1,"retries":0,"finished_at":"2026-01-31T12:00:00Z"}"#;
        let receipt: Receipt = serde_json::from_str(old).unwrap();
        assert_eq!((receipt.duration_ms, receipt.trace), (0, None));
    }
}
