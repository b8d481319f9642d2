//! The error codes of S3, and what in a reply says that the bucket is elsewhere.

use crate::provider::{
    Blame, Failure, HttpReply, Kind,
    aws::classify::{self as common, Tags, Verdict},
    classify::{Told, UNKNOWN_CODE_ATTEMPTS},
    xml,
};

/// A body that was damaged on its way goes once more.
const DAMAGED_ATTEMPTS: u32 = 2;

/// The failure that an error reply stands for.
pub(super) fn whole(reply: &HttpReply, tags: &Tags) -> Failure {
    let told = common::told(reply);
    let (code, words) = (short(&told), told.message.to_ascii_lowercase());
    let mut failure = common::from_told(reply, &told, tags, own);
    match code.as_deref() {
        // Front ends shed load with a bare 503.
        None if reply.status == 503 => failure.kind = Kind::Throttled,
        Some("BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch") => {
            failure.attempts_at_most = Some(DAMAGED_ATTEMPTS);
        }
        // AWS has given the bucket a tag of its own since we read: read again.
        Some("InvalidTag") if words.contains("system tag") => {
            (failure.kind, failure.blame) = (Kind::Transient, Blame::State);
            failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
        }
        _ => {}
    }
    failure
}

/// The code without the `Error` that older pages put behind it.
fn short(told: &Told) -> Option<String> {
    let code = told.code.as_deref()?;
    let short = code.strip_suffix("Error").filter(|short| listed(short).is_some());
    Some(short.unwrap_or(code).to_owned())
}

fn own(code: &str) -> Option<Verdict> {
    listed(code).or_else(|| listed(code.strip_suffix("Error")?))
}

/// S3's own codes: the pages "Error responses" and "PutBucketTagging".
fn listed(code: &str) -> Option<Verdict> {
    Some(match code {
        // Another change of the bucket's configuration is under way.
        "OperationAborted" => (Kind::Transient, Blame::State),
        "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" => (Kind::Transient, Blame::Unnamed),
        // A bucket that cannot have these tags: it is not there, is full (two codes), is of a kind without tags, or is
        // elsewhere and cannot be found.
        "NoSuchBucket"
        | "InvalidBucketName"
        | "InvalidTag"
        | "BadRequest"
        | "MethodNotAllowed"
        | "NotImplemented"
        | "PermanentRedirect"
        | "TemporaryRedirect"
        | "IllegalLocationConstraintException" => (Kind::Rejected, Blame::Unnamed),
        "MalformedXML" | "InvalidRequest" | "InvalidDigest" | "MissingContentLength" => {
            (Kind::Rejected, Blame::Request)
        }
        // With a region it is a redirect; without one the key is not one.
        "AuthorizationHeaderMalformed" => (Kind::Auth, Blame::Unnamed),
        _ => return None,
    })
}

/// The bucket has no tags: success for a read.
pub(super) fn has_no_tags(reply: &HttpReply) -> bool {
    reply.status == 404 && common::told(reply).code.as_deref() == Some("NoSuchTagSet")
}

/// A write was refused in a way that S3 Control may not be: buckets with access control by tags refuse every other way.
/// Which code they refuse with is not documented, so both that fit are taken.
pub(super) fn may_be_controlled(reply: &HttpReply) -> bool {
    let code = common::told(reply).code;
    matches!((reply.status, code.as_deref()), (403, Some("AccessDenied")) | (405, _) | (_, Some("MethodNotAllowed")))
}

/// Where a reply sends us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// To a region.
    Region(String),
    /// Elsewhere, without saying where.
    Unknown,
}

/// Whether the bucket is in another region than the one we asked.
pub(super) fn elsewhere(reply: &HttpReply) -> Option<Elsewhere> {
    let region = reply.header("x-amz-bucket-region").map(|region| region.trim().to_owned());
    let region = region.filter(|region| !region.is_empty()).or_else(|| xml::field(&reply.body, "Region"));
    let code = common::told(reply).code;
    let moved = match (reply.status, code.as_deref()) {
        (301 | 307, _)
        | (_, Some("PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException")) => true,
        (400, Some("AuthorizationHeaderMalformed")) => region.is_some(),
        _ => false,
    };
    moved.then(|| region.map_or(Elsewhere::Unknown, Elsewhere::Region))
}
