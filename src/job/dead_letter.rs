//! The dead letter: the failed items of a job with their reasons, ready to be replayed.

use super::{Job, Replay, Resource, VERSION, stable_id};
use serde::{Deserialize, Serialize};

/// Why one item failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemFailure {
    /// The resource that could not be tagged.
    pub resource: Resource,
    /// The provider's error code, or one of ours (`invalid`, `cancelled`, `gave_up`).
    pub code: String,
    /// The provider's words, shortened and without control characters.
    pub message: String,
    /// The provider's id of the request that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<String>,
    /// Attempts spent, the last one included; 0 when nothing was ever sent.
    pub attempts: u32,
    /// Keys of this item that had been applied before it failed.
    pub applied_keys: Vec<String>,
    /// Line of the file the item came from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub line: Option<u64>,
}

/// The failed items of one job. `job` is a valid job of just those items, so a replay is a publish.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Version of this document, 1.
    pub version: u64,
    /// Stable over crashes: a hash of job id, replay count and part. A consumer drops repeats by it.
    pub id: String,
    /// The job with its failed items only.
    pub job: Job,
    /// One entry per item of `job`, in the same order.
    pub failures: Vec<ItemFailure>,
    /// How often these items have been replayed already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Replay>,
}

/// A dead letter is split so that each part has at most so many bytes.
pub const DEAD_LETTER_BYTES: usize = 1_000_000;
/// Of those, kept free for a store that makes an id longer to tell two letters apart.
const SPARE: usize = 64;

/// The dead letters of a job's failures, in their order: as few as hold them in [`DEAD_LETTER_BYTES`] each. A failure
/// that is too large even alone has a part of its own.
///
/// `job` is the job without its work; its resources are taken from the failures.
pub fn dead_letters(mut job: Job, failures: Vec<ItemFailure>) -> Vec<DeadLetter> {
    job.resources = Vec::new();
    let empty = DeadLetter {
        version: VERSION,
        id: stable_id(&job, "0"),
        replay: job.extras.replay.clone(),
        job,
        failures: Vec::new(),
    };
    let most = DEAD_LETTER_BYTES - SPARE;
    // A job that is larger than a part without any failure cannot be kept small; then it is not repeated for each one.
    let room = most.checked_sub(size(&empty)).unwrap_or(most);
    let mut parts: Vec<DeadLetter> = Vec::new();
    let mut left = 0;
    for failure in failures {
        // Each is an element of two lists, with a comma behind it.
        let bytes = size(&failure) + size(&failure.resource) + 2;
        let part = match parts.last_mut() {
            Some(part) if bytes <= left => part,
            _ => {
                left = room;
                let id = stable_id(&empty.job, &parts.len().to_string());
                parts.push(DeadLetter { id, ..empty.clone() });
                let Some(part) = parts.last_mut() else { continue };
                part
            }
        };
        left = left.saturating_sub(bytes);
        part.job.resources.push(failure.resource.clone());
        part.failures.push(failure);
    }
    parts
}

/// Bytes of a value as JSON.
fn size(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and these types always have a JSON form.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Extras, JobId, LaneName};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn failures() -> impl Strategy<Value = Vec<ItemFailure>> {
        // A few shapes, each many times over: what is large must be quick to make.
        let long = |most: usize| ("[a-z\"\\\\é😀\n]{1,4}", 0..most).prop_map(|(text, times)| text.repeat(times));
        let one = (
            (long(300), proptest::option::of(long(30)), proptest::option::of(long(30))),
            (long(20), long(300), proptest::option::of(long(20))),
            proptest::collection::vec(long(40), 0..20),
            proptest::option::of(any::<u64>()),
            any::<u32>(),
            (1..400_usize, prop_oneof![30 => Just(1_usize), 1 => Just(1500)]),
        );
        let shapes = proptest::collection::vec(one, 0..6);
        shapes.prop_map(|shapes| {
            shapes
                .into_iter()
                .flat_map(|((id, kind, project), (code, message, request_id), keys, line, attempts, (times, huge))| {
                    let failure = move |n: usize| ItemFailure {
                        resource: Resource {
                            id: format!("{id}{n}").into(),
                            kind: kind.clone().map(Arc::from),
                            project: project.clone().map(Arc::from),
                        },
                        code: code.clone(),
                        message: message.repeat(huge),
                        request_id: request_id.clone(),
                        attempts,
                        applied_keys: keys.clone(),
                        line,
                    };
                    (0..if huge > 1 { 2 } else { times }).map(failure)
                })
                .collect()
        })
    }

    fn job(tags: usize, replay: bool) -> Job {
        let replay = replay.then(|| Replay { of: "x".repeat(300), count: 7 });
        Job {
            id: JobId::new("job-1").unwrap(),
            lane: LaneName::new("a").unwrap(),
            resources: vec![Resource::plain("not a failed one")],
            set: (0..tags).map(|n| (format!("key {n}").into(), "é".repeat(128).into())).collect(),
            unset: (0..tags).map(|n| format!("old {n}").into()).collect(),
            extras: Extras { replay, source: Some("csv:servers.csv".into()), ..Extras::none() },
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn parts_are_small_and_together_hold_every_failure_in_order(
            failures in failures(),
            tags in prop_oneof![0..50_usize, 0..3000_usize],
            replay: bool,
        ) {
            let job = job(tags, replay);
            let parts = dead_letters(job.clone(), failures.clone());
            let mut sizes = Vec::new();
            for (n, part) in parts.iter().enumerate() {
                sizes.push(serde_json::to_vec(part).unwrap().len());
                prop_assert!(sizes[n] <= DEAD_LETTER_BYTES || part.failures.len() == 1, "{} bytes", sizes[n]);
                prop_assert_eq!(&part.id, &stable_id(&job, &n.to_string()));
                prop_assert_eq!(&part.replay, &job.extras.replay);
                let resources: Vec<_> = part.failures.iter().map(|failure| failure.resource.clone()).collect();
                prop_assert!(!resources.is_empty());
                let whole = Job { resources, ..job.clone() };
                prop_assert!(part.job == whole);
            }
            // As few as can be: the first failure of a part had no room in the one before.
            for (pair, sizes) in parts.windows(2).zip(&sizes) {
                let first = &pair[1].failures[0];
                prop_assert!(sizes + size(first) + size(&first.resource) + 2 > DEAD_LETTER_BYTES - SPARE - 2);
            }
            prop_assert_eq!(parts.into_iter().flat_map(|part| part.failures).collect::<Vec<_>>(), failures);
        }
    }

    #[test]
    fn a_job_that_is_too_large_by_itself_is_not_repeated_for_each_failure() {
        let failure = |n: u32| ItemFailure {
            resource: Resource::plain(&format!("r{n}")),
            code: "cancelled".into(),
            message: "cancelled".into(),
            request_id: None,
            attempts: 0,
            applied_keys: Vec::new(),
            line: None,
        };
        assert_eq!(dead_letters(job(5000, false), (0..1000).map(failure).collect()).len(), 1);
    }
}
