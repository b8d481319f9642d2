//! The error codes of AWS. Code first: JSON services throttle and refuse identities with a 400.
//!
//! A service has its own words ahead of the common ones: `LimitExceededException` is a throttle in general and a full
//! quota on AWS Backup.

use crate::provider::{
    Blame, Failure, HttpReply, Kind, Missing,
    classify::{Told, UNKNOWN_CODE_ATTEMPTS, blame_by_status, by_status, failure, status_code},
    xml,
};
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

pub(super) type Tags = [(Arc<str>, Arc<str>)];

/// A verdict of a code.
pub(super) type Verdict = (Kind, Blame);

/// A service's own reading of a code.
pub(super) type Own = fn(&str) -> Option<Verdict>;

/// The failure that an error reply stands for, whatever form its body has.
pub(super) fn whole(reply: &HttpReply, tags: &Tags, own: Own) -> Failure {
    from_told(reply, &told(reply), tags, own)
}

/// As [`whole`], for what has been read already.
pub(super) fn from_told(reply: &HttpReply, told: &Told, tags: &Tags, own: Own) -> Failure {
    let known = told.code.as_deref().and_then(|code| own(code).or_else(|| common(code)));
    let verdict = known.unwrap_or_else(|| unlisted(reply.status, told.code.is_some()));
    let mut failure = failure(verdict, told, reply, tags);
    if !failure.coded {
        failure.code = status_code(reply.status);
    }
    if failure.kind == Kind::Rejected {
        failure.missing = missing(told.code.as_deref());
    }
    if reply.is_success() && known.is_none() {
        // A code inside a success that nobody has listed: neither done nor refused for good.
        (failure.kind, failure.blame) = (Kind::Transient, Blame::Unnamed);
        failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
    }
    if told.code.as_deref().is_some_and(|code| complains_of_the_clock(code, &told.message)) {
        failure.server_time = reply.date();
    }
    failure.retry_after = retry_after(reply);
    failure
}

/// How long AWS, or a proxy before it, asks us to stay away: the longer of the two headers.
pub(super) fn retry_after(reply: &HttpReply) -> Option<Duration> {
    reply.retry_after_millis("x-amz-retry-after").max(reply.retry_after())
}

/// The provider's id of the request.
pub(super) fn request_id(reply: &HttpReply) -> Option<&str> {
    let header = |name| reply.header(name).filter(|id| !id.trim().is_empty());
    header("x-amzn-requestid").or_else(|| header("x-amz-request-id"))
}

/// Code and words of an error reply: JSON, XML on a JSON service (as a front end writes it), or neither.
pub(super) fn told(reply: &HttpReply) -> Told {
    let mut told = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(Value::Object(map)) => read(&map),
        _ => xml::read_error(&reply.body).unwrap_or_default(),
    };
    told.code = reply.header("x-amzn-errortype").and_then(plain).or(told.code);
    told.request_id = request_id(reply).map(str::to_owned).or(told.request_id);
    told
}

/// Code and message of a JSON envelope. Machine Learning adds a `code` that is a number, and means nothing here.
pub(super) fn read(map: &Map<String, Value>) -> Told {
    let text = |names: [&str; 2]| names.iter().find_map(|name| map.get(*name)?.as_str());
    let code = text(["code", "Code"]).and_then(plain).or_else(|| map.get("__type")?.as_str().and_then(plain));
    Told { code, message: text(["message", "Message"]).unwrap_or_default().to_owned(), request_id: None }
}

/// `com.amazon.x#ThrottlingException:http://...` without what stands around the name.
fn plain(code: &str) -> Option<String> {
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().trim();
    Told::is_code(code).then(|| code.to_owned())
}

/// The codes for a resource that does not exist, of the services that we call ourselves.
pub(super) fn missing(code: Option<&str>) -> Missing {
    if matches!(code, Some("ResourceNotFoundException" | "NoSuchBucket")) { Missing::Yes } else { Missing::No }
}

/// What has no listed code, by its status. Every 5xx passes.
fn unlisted(status: u16, coded: bool) -> Verdict {
    match by_status(status) {
        Kind::Rejected if (500..600).contains(&status) && status != 501 => (Kind::Transient, Blame::Unnamed),
        kind if coded => (kind, Blame::Unnamed),
        kind => (kind, blame_by_status(status)),
    }
}

/// S3 has a code for it; elsewhere it is one of many reasons for a bad signature, and the words decide.
fn complains_of_the_clock(code: &str, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let words = ["signature expired", "not yet current"];
    match code {
        "RequestTimeTooSkewed" => true,
        "InvalidSignatureException" | "SignatureDoesNotMatch" => words.iter().any(|word| message.contains(word)),
        _ => false,
    }
}

/// A throttle, by the retry list of the vendor's SDK and the page "Common errors".
pub(super) fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "ProvisionedThroughputExceededException"
            | "TransactionInProgressException"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "EC2ThrottledException"
            | "SlowDown"
    )
}

/// The codes that every service uses.
fn common(code: &str) -> Option<Verdict> {
    if is_throttle(code) {
        return Some((Kind::Throttled, Blame::Unnamed));
    }
    Some(match code {
        "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServerException"
        | "InternalServiceException"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => (Kind::Transient, Blame::Unnamed),
        // Who we are: unknown, badly signed, out of date, or an account that AWS has closed to us.
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "InvalidToken"
        | "AccountProblem"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed" => (Kind::Auth, Blame::Unnamed),
        "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "UnauthorizedOperation" => {
            (Kind::Denied, Blame::Unnamed)
        }
        // One item of the call may be what is wrong, so it is found by taking the call apart.
        "ValidationException" | "ValidationError" | "SerializationException" => (Kind::Rejected, Blame::Unnamed),
        "InvalidAction" | "UnknownOperationException" | "MalformedQueryString" => (Kind::Rejected, Blame::Request),
        _ => return None,
    })
}
