//! The error codes of Alibaba Cloud. Code first: here throttling comes as 400, a missing resource as 403.

use crate::provider::{
    Blame, Failure, HttpReply, Kind, Missing,
    classify::{Told, UNKNOWN_CODE_ATTEMPTS, blame_by_status, by_status, failure, status_code},
    xml,
};
use serde_json::{Map, Value};
use std::sync::Arc;

type Tags = [(Arc<str>, Arc<str>)];

/// The failure that an error reply stands for, whatever form its body has.
pub(super) fn whole(reply: &HttpReply, tags: &Tags) -> Failure {
    let told = match serde_json::from_slice::<Value>(&reply.body) {
        Ok(Value::Object(map)) => read(&map),
        _ => xml::read_error(&reply.body).unwrap_or_default(),
    };
    from_told(reply, told, tags)
}

/// As [`whole`], for what has been read already.
pub(super) fn from_told(reply: &HttpReply, mut told: Told, tags: &Tags) -> Failure {
    if let Some(id) = reply.header("x-acs-request-id").filter(|id| !id.trim().is_empty()) {
        told.request_id = Some(id.to_owned());
    }
    let known = told.code.as_deref().and_then(lookup);
    let verdict = known.unwrap_or_else(|| by_status_here(reply.status, told.code.is_some()));
    let mut failure = failure(verdict, &told, reply, tags);
    if !failure.coded {
        failure.code = status_code(reply.status);
    }
    failure.missing = missing(told.code.as_deref());
    if reply.is_success() && known.is_none() {
        // A code inside a success that nobody has listed: neither done nor refused for good.
        (failure.kind, failure.blame) = (Kind::Transient, Blame::Unnamed);
        failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
    }
    if told.code.as_deref().is_some_and(complains_of_the_clock) {
        failure.server_time = reply.date();
    }
    if let Some(wait) = reply.retry_after_millis("x-acs-retry-after") {
        // The vendor's SDK takes any error with this header for throttling, whatever the code.
        (failure.kind, failure.blame) = (Kind::Throttled, Blame::Unnamed);
        (failure.retry_after, failure.attempts_at_most, failure.missing) = (Some(wait), None, Missing::No);
    }
    failure
}

/// The failure of one entry of `FailedResources`. A code on no list may be any service's: tried twice more.
pub(super) fn item(result: Option<&Value>, request_id: Option<&str>, reply: &HttpReply, tags: &Tags) -> Failure {
    let mut told = result.and_then(Value::as_object).map(read).unwrap_or_default();
    told.request_id = request_id.map(str::to_owned);
    let known = told.code.as_deref().and_then(lookup);
    let mut failure = failure(known.unwrap_or((Kind::Transient, Blame::Unnamed)), &told, reply, tags);
    if known.is_none() {
        failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
    }
    if told.code.is_none() {
        failure.code = "unknown".into();
    }
    failure.missing = missing(told.code.as_deref());
    failure
}

/// The listed codes for a resource that does not exist. `Request.NotFound` is in RDS's words the request's resource.
fn missing(code: Option<&str>) -> Missing {
    match code {
        Some("InvalidResourceId.NotFound") => Missing::Yes,
        Some("Request.NotFound") => Missing::Perhaps,
        _ => Missing::No,
    }
}

/// Code, message and request id of a JSON object; some gateways write the names in lower case.
pub(super) fn read(map: &Map<String, Value>) -> Told {
    let text =
        |names: [&str; 2]| names.iter().find_map(|name| map.get(*name)?.as_str()).filter(|text| !text.is_empty());
    Told {
        code: text(["Code", "code"]).filter(|code| Told::is_code(code)).map(str::to_owned),
        message: text(["Message", "message"]).unwrap_or_default().to_owned(),
        request_id: text(["RequestId", "requestId"]).map(str::to_owned),
    }
}

/// Every 5xx passes here; other statuses as everywhere.
fn by_status_here(status: u16, coded: bool) -> (Kind, Blame) {
    match by_status(status) {
        Kind::Rejected if (500..600).contains(&status) => (Kind::Transient, Blame::Unnamed),
        kind if coded => (kind, Blame::Unnamed),
        kind => (kind, blame_by_status(status)),
    }
}

/// The clock is off, or the timestamp could not be read.
fn complains_of_the_clock(code: &str) -> bool {
    matches!(code, "InvalidTimeStamp.Expired" | "InvalidTimeStamp.Format" | "IllegalTimestamp")
}

/// The listed codes: API pages of the three APIs, common client error codes, and what the vendor's Terraform
/// provider retries. `stem.*` stands for every code below a stem.
fn lookup(code: &str) -> Option<(Kind, Blame)> {
    // `Throttling`, `Throttling.User`, `Rejected.Throttling`: any code that says so.
    if code.contains("Throttling") {
        return Some((Kind::Throttled, Blame::Unnamed));
    }
    // An account without money: everything fails until someone pays, so the lane waits.
    if ["InsufficientBalance", "NotEnoughBalance", "Arrearage", "InDebt"].iter().any(|word| code.contains(word)) {
        return Some((Kind::Auth, Blame::Unnamed));
    }
    Some(match code {
        // A nonce seen before: the first copy may have been carried out, and a new nonce goes through.
        "ServiceUnavailable"
        | "ServiceUnavailableTemporary"
        | "InternalError"
        | "UnknownError"
        | "SystemError"
        | "SystemBusy"
        | "ServiceBusy"
        | "SignatureNonceUsed" => (Kind::Transient, Blame::Unnamed),
        // The resource is busy or starting.
        "OperationDenied.DBInstanceStatus" | "OperationDenied.DBStatus" | "OperationConflict" => {
            (Kind::Transient, Blame::State)
        }
        "SignatureDoesNotMatch" | "IncompleteSignature" | "InvalidSignatureMethod" | "MissingSecurityToken" => {
            (Kind::Auth, Blame::Unnamed)
        }
        code if complains_of_the_clock(code) => (Kind::Auth, Blame::Unnamed),
        "ActionUnauthorized" => (Kind::Denied, Blame::Unnamed),
        "Request.NotFound"
        | "OperationDenied.QuotaExceed"
        | "QuotaExceed.Tags"
        | "QuotaExceed.TagsPerResource"
        | "InvalidTagCount"
        | "InvalidResourceId.NotFound"
        | "InvalidResourceId.NotSupported" => (Kind::Rejected, Blame::Unnamed),
        "Duplicate.TagKey"
        | "TagKey.Duplication"
        | "InvalidTagKey.Malformed"
        | "InvalidTagValue.Malformed"
        | "InvalidParameter.TagKey"
        | "InvalidParameter.TagValue"
        | "InvalidParameter.Tags" => (Kind::Rejected, Blame::Tag),
        // One item's type or ARN may spoil the call, so it is taken apart.
        "InvalidParameter.ResourceType" | "InvalidParameter.ServiceCode" | "InvalidResourceType.NotFound" => {
            (Kind::Rejected, Blame::Unnamed)
        }
        "Param.Conflict" => (Kind::Rejected, Blame::Request),
        code => return by_stem(code),
    })
}

fn by_stem(code: &str) -> Option<(Kind, Blame)> {
    Some(match code.split('.').next().unwrap_or_default() {
        "InvalidAccessKeyId" | "InvalidSecurityToken" => (Kind::Auth, Blame::Unnamed),
        "Forbidden" | "NoPermission" | "NoPermissionKey" | "PermissionDenied" => (Kind::Denied, Blame::Unnamed),
        // Too much in one call: our own mistake, and taking the call apart mends it.
        "NumberExceed" | "InvalidResourceARN" => (Kind::Rejected, Blame::Unnamed),
        "MissingParameter" | "InvalidRegionId" | "InvalidProduct" | "InvalidApi" | "InvalidAction"
        | "InvalidVersion" | "NoSuchVersion" => (Kind::Rejected, Blame::Request),
        _ => return None,
    })
}
