//! Ids of receipts and dead letters that come out the same after every crash.

use super::Job;
use sha2::{Digest, Sha256};

/// The id of a document about a job: the same for the same job, replay and part, and different for everything else.
///
/// `part` says which document it is: `receipt`, or the number of a dead letter's part. The lane and the dead letter
/// that a replay came from are in the hash too: two lanes may carry the same job id, and two parts of one job may be
/// replayed side by side.
pub fn stable_id(job: &Job, part: &str) -> String {
    let replay = job.extras.replay.as_ref();
    let count = replay.map(|replay| replay.count.to_string()).unwrap_or_default();
    let of = replay.map(|replay| replay.of.as_str()).unwrap_or_default();
    stable_hash(&[job.lane.as_str(), job.id.as_str(), of, &count, part])
}

/// The id made of these texts, in this order.
pub fn stable_hash(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        // Lengths keep "ab" + "c" apart from "a" + "bc".
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    }
    hex(&hash.finalize())
}

/// The first 128 bits, in hexadecimal: short enough to type, long enough never to meet twice.
fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Extras, JobId, LaneName, Replay, Resource};

    fn job(lane: &str, id: &str, replay: Option<(&str, u32)>) -> Job {
        let replay = replay.map(|(of, count)| Replay { of: of.into(), count });
        Job {
            id: JobId::new(id).unwrap(),
            lane: LaneName::new(lane).unwrap(),
            resources: vec![Resource::plain("r")],
            set: [("k".into(), "v".into())].into(),
            unset: [].into(),
            extras: Extras { replay, ..Extras::none() },
        }
    }

    #[test]
    fn the_same_document_has_the_same_id_and_no_other_document_has_it() {
        let all = [
            stable_id(&job("a", "1", None), "0"),
            stable_id(&job("a", "1", None), "1"),
            stable_id(&job("a", "1", None), "receipt"),
            stable_id(&job("b", "1", None), "0"),
            stable_id(&job("a", "2", None), "0"),
            stable_id(&job("a", "1", Some(("x", 1))), "0"),
            stable_id(&job("a", "1", Some(("y", 1))), "0"),
            stable_id(&job("a", "1", Some(("x", 2))), "0"),
        ];
        assert_eq!(stable_id(&job("a", "1", None), "0"), all[0]);
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
