//! A dead letter as operators pick it: what is known of it, which ones are meant, how many they are.

use crate::job::{JobId, LaneName, Trace};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Characters of a failure's message that a list shows; the dead letter has all of it.
pub(super) const LISTED_MESSAGE: usize = 300;

/// What is worth knowing of a dead letter without its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadEntry {
    /// Stable over crashes, and unique in its store.
    pub id: String,
    /// The lane; none when it could not be read.
    pub lane: Option<LaneName>,
    /// The job; none for a message that is no job.
    pub job: Option<JobId>,
    /// Failed items.
    pub items: u64,
    /// The codes of its failures, each once, first one first.
    pub codes: Vec<String>,
    /// What the first failure said, shortened. It comes from a cloud: clean it before a terminal sees it.
    pub message: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// True for a message that is no dead letter of a job: its bytes are kept as they came.
    pub raw: bool,
    /// Where it came from, such as `csv:servers.csv`.
    pub source: Option<String>,
    /// The line of that file.
    pub line: Option<u64>,
    /// The run of the embedded queue it belongs to; 0 for none.
    pub run: u64,
    /// The trace that its message belonged to; a replay goes on with it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trace: Option<Trace>,
}

/// A dead letter with its body: the JSON document, or the message itself where it is raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDead {
    /// What is known of it.
    pub entry: DeadEntry,
    /// The document or the message, byte for byte.
    pub body: Vec<u8>,
}

/// How many dead letters, and how many items are in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeadCount {
    /// Dead letters.
    pub letters: u64,
    /// Items in them.
    pub items: u64,
    /// Of the dead letters: messages that are no jobs.
    pub raw: u64,
}

/// Which dead letters. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct DeadFilter {
    /// Of this lane.
    pub lane: Option<LaneName>,
    /// With a failure of this code.
    pub code: Option<String>,
    /// Of this job.
    pub job: Option<JobId>,
    /// Recorded before.
    pub before: Option<Timestamp>,
    /// Recorded at that time or later.
    pub since: Option<Timestamp>,
    /// Only the first so many.
    pub limit: Option<u64>,
}

impl DeadFilter {
    /// Whether a dead letter passes; the limit is the caller's to count.
    pub fn takes(&self, entry: &DeadEntry) -> bool {
        self.lane.as_ref().is_none_or(|lane| entry.lane.as_ref() == Some(lane))
            && self.code.as_ref().is_none_or(|code| entry.codes.contains(code))
            && self.job.as_ref().is_none_or(|job| entry.job.as_ref() == Some(job))
            && self.before.is_none_or(|before| entry.recorded_at < before)
            && self.since.is_none_or(|since| entry.recorded_at >= since)
    }
}

/// Which dead letters to take.
#[derive(Clone, Debug)]
pub enum Pick {
    /// These, by id, in the order in which their jobs arrived.
    Ids(Vec<String>),
    /// All that pass.
    Matching(DeadFilter),
}

/// An age: a number with `s`, `m`, `h`, `d` or `w`, or several of them up to hours (`1h 30m`).
pub fn age(text: &str) -> Result<SignedDuration, String> {
    let whole = |unit: char, hours: i64| {
        let count: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        SignedDuration::try_from_hours(count.checked_mul(hours)?)
    };
    let age = whole('d', 24).or_else(|| whole('w', 24 * 7)).or_else(|| text.parse().ok());
    age.filter(|age| !age.is_negative()).ok_or_else(|| "give an age such as 90s, 30m, 2h, 7d or 4w".to_owned())
}
