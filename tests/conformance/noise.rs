//! Replies nobody planned for: whatever comes back, nothing panics and nothing is called done that is not.

use crate::data::{Sample, json, reply};
use proptest::prelude::*;
use tagmill::provider::{Answer, Fate, HttpReply, LONGEST_WAIT, Op};

/// Tables whose bodies are worth changing a byte of.
const TABLES: [&str; 8] = [
    "errors/huawei-tms.json",
    "errors/alibaba.json",
    "errors/alibaba-tag.json",
    "errors/aws.json",
    "errors/aws-tagging.json",
    "errors/aws-backup.json",
    "errors/aws-ml.json",
    "errors/aws-s3.json",
];

/// Bodies that look like the real thing: successes and error tables, cut and with bytes changed.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> =
        Sample::all().iter().flat_map(|s| s.success.clone()).map(String::into_bytes).collect();
    for table in TABLES {
        for row in json(table).as_array().unwrap() {
            bodies.push(row["body"].as_str().map_or_else(|| row["body"].to_string(), str::to_owned).into_bytes());
        }
    }
    bodies
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let changed = (
        prop::sample::select(bodies()),
        any::<prop::sample::Index>(),
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    );
    let changed = changed.prop_map(|(mut body, cut, bytes)| {
        for (at, byte) in bytes {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        body.truncate(cut.index(body.len() + 1).max(body.len() / 2));
        body
    });
    prop_oneof![3 => changed, 1 => prop::collection::vec(any::<u8>(), 0..200), 1 => any::<String>().prop_map(String::into_bytes)]
}

fn replies() -> impl Strategy<Value = HttpReply> {
    let names = [
        "retry-after",
        "x-acs-retry-after",
        "x-amz-retry-after",
        "date",
        "x-request-id",
        "x-acs-request-id",
        "x-amzn-requestid",
        "x-amzn-errortype",
        "x-amz-bucket-region",
        "content-type",
    ];
    let value = prop_oneof![any::<String>(), "[0-9]{1,25}", Just("Thu, 02 Jan 2025 03:04:05 GMT".to_owned())];
    let headers = prop::collection::vec((prop::sample::select(names.to_vec()), value), 0..4);
    (prop_oneof![Just(200u16), 100u16..600, any::<u16>()], headers, body()).prop_map(|(status, headers, body)| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        reply(status, &headers, &body)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_reply_is_answered_soundly(reply in replies(), take in 0usize..=3, unset in any::<bool>()) {
        for sample in Sample::all() {
            let mut call = sample.call(if unset { Op::Unset } else { Op::Set });
            call.resources.truncate(take);
            // The reply may be the first of two: what it finishes was right already.
            if sample.before.is_some() {
                match sample.provider.decode(&call, None, &reply) {
                    Answer::Finished(fates) => prop_assert!(fates.iter().all(|fate| *fate == Fate::Unchanged)),
                    Answer::Failure(failure) => sound(&failure)?,
                    Answer::FollowUp(_) => {}
                }
            }
            match sample.decode(&call, &reply) {
                Answer::Finished(fates) => {
                    prop_assert_eq!(fates.len(), call.resources.len(), "one fate per resource");
                    prop_assert!(reply.is_success(), "{:?} is no success", reply);
                    let object = serde_json::from_slice::<serde_json::Value>(&reply.body).is_ok_and(|body| body.is_object());
                    let empty = sample.success.iter().any(String::is_empty) && reply.body.trim_ascii().is_empty();
                    prop_assert!(object || empty, "done, says a body that is no JSON object");
                    for fate in fates {
                        if let Fate::Failed(failure) = fate {
                            sound(&failure)?;
                        }
                    }
                }
                Answer::Failure(failure) => sound(&failure)?,
                Answer::FollowUp(_) => {}
            }
        }
    }
}

/// What a lane, a metric and a dead letter rely on.
fn sound(failure: &tagmill::provider::Failure) -> Result<(), TestCaseError> {
    prop_assert!(!failure.code.is_empty() && failure.code.len() <= 120);
    prop_assert!(failure.message.chars().count() <= 500);
    let texts = [Some(&failure.code), Some(&failure.message), failure.request_id.as_ref()];
    prop_assert!(texts.into_iter().flatten().all(|text| !text.chars().any(char::is_control)));
    prop_assert!(failure.retry_after.is_none_or(|wait| !wait.is_zero() && wait <= LONGEST_WAIT));
    Ok(())
}
