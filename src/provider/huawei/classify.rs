//! The error codes of TMS and of the gateway before it. Code first, status second: TMS throttles with a 403.

use crate::provider::{
    Blame, Failure, HttpReply, Kind, Missing,
    classify::{Told, UNKNOWN_CODE_ATTEMPTS, blame_by_status, by_status, failure, status_code},
};
use serde_json::{Map, Value};
use std::sync::Arc;

type Tags = [(Arc<str>, Arc<str>)];

/// The failure that an error reply stands for.
pub(super) fn whole(reply: &HttpReply, tags: &Tags) -> Failure {
    let body: Option<Value> = serde_json::from_slice(&reply.body).ok();
    from_body(reply, body.as_ref(), tags)
}

/// As [`whole`], for a body that has been read already.
pub(super) fn from_body(reply: &HttpReply, body: Option<&Value>, tags: &Tags) -> Failure {
    let (mut told, status) = body.and_then(find).unwrap_or_default();
    let in_body = || text(body?.as_object()?, &["request_id", "requestId", "RequestId"]);
    let in_header = reply.header("x-request-id").filter(|id| !id.trim().is_empty()).map(str::to_owned);
    told.request_id = in_header.or(told.request_id).or_else(in_body);
    // IAM writes the status where others write a code. A proxy between us may have changed the status proper.
    let status = status.unwrap_or(reply.status);
    let known = told.code.as_deref().and_then(lookup);
    let mut failure = failure(known.unwrap_or_else(|| unlisted(status, told.code.is_some())), &told, reply, tags);
    if !failure.coded {
        failure.code = status_code(status);
    }
    failure.missing = missing(told.code.as_deref());
    if reply.is_success() && known.is_none() {
        // An error inside a success, in words nobody has listed: neither done nor refused for good.
        (failure.kind, failure.blame) = (Kind::Transient, Blame::Unnamed);
        failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
    }
    if told.code.as_deref().is_some_and(|code| complains_of_the_clock(code, &told.message)) {
        failure.server_time = reply.date();
    }
    failure
}

/// The failure of one entry of `failed_resources`. A code on no list may be any service's: tried twice more.
pub(super) fn item(
    code: Option<&str>,
    message: &str,
    request_id: Option<&str>,
    reply: &HttpReply,
    tags: &Tags,
) -> Failure {
    let code = code.filter(|code| Told::is_code(code));
    let told =
        Told { code: code.map(str::to_owned), message: message.to_owned(), request_id: request_id.map(str::to_owned) };
    let known = code.and_then(lookup);
    let mut failure = failure(known.unwrap_or((Kind::Transient, Blame::Unnamed)), &told, reply, tags);
    if known.is_none() {
        failure.attempts_at_most = Some(UNKNOWN_CODE_ATTEMPTS);
    }
    if code.is_none() {
        failure.code = "unknown".into();
    }
    failure.missing = missing(code);
    failure
}

/// The one listed code for a resource that does not exist.
fn missing(code: Option<&str>) -> Missing {
    if code == Some("TMS.0005") { Missing::Yes } else { Missing::No }
}

/// The listed codes. Sources: TMS API reference "Error Codes", API gateway error codes.
fn lookup(code: &str) -> Option<(Kind, Blame)> {
    // The gateway spells its own name in two ways.
    let gateway = code.strip_prefix("APIG.").or_else(|| code.strip_prefix("APIGW."));
    if let Some(number) = gateway {
        return Some(match number {
            // Too many requests.
            "0308" => (Kind::Throttled, Blame::Unnamed),
            // Identity: bad signature or IAM data, expired date, token to be renewed, blacklist, no authority to sign.
            "0301" | "0302" | "0303" | "0304" | "0305" | "0306" | "0307" | "0310" => (Kind::Auth, Blame::Unnamed),
            // No such API, or a wrong content of the request line: wrong host or path.
            "0101" | "0106" => (Kind::Rejected, Blame::Request),
            // The service behind the gateway.
            number if number.starts_with("06") => (Kind::Transient, Blame::Unnamed),
            _ => return None,
        });
    }
    Some(match code {
        // Too many requests, with HTTP status 403.
        "TMS.0006" => (Kind::Throttled, Blame::Unnamed),
        "TMS.0001" => (Kind::Transient, Blame::Unnamed),
        "TMS.0003" => (Kind::Auth, Blame::Unnamed),
        "TMS.0004" | "TMS.2030" => (Kind::Denied, Blame::Unnamed),
        // Key, value, no tags, an empty element, value too long.
        "TMS.0009" | "TMS.0010" | "TMS.0012" | "TMS.0013" | "TMS.0016" => (Kind::Rejected, Blame::Tag),
        // A generic bad request, no such resource, a wrong type or project: one item of the call may be at fault,
        // so it is found by taking the call apart.
        "TMS.0002" | "TMS.0005" | "TMS.2009" | "TMS.2011" | "TMS.2017" | "TMS.5027" => (Kind::Rejected, Blame::Unnamed),
        _ => return None,
    })
}

/// What has no listed code, sorted by its status. 409 is a conflict that passes.
fn unlisted(status: u16, coded: bool) -> (Kind, Blame) {
    match status {
        409 => (Kind::Transient, Blame::Unnamed),
        // Method, media type, gone, precondition, not built: nothing that an item could change.
        405 | 406 | 410 | 412 | 501 => (Kind::Rejected, Blame::Request),
        _ if coded => (by_status(status), Blame::Unnamed),
        _ => (by_status(status), blame_by_status(status)),
    }
}

/// `APIGW.0303` is used for an expired `X-Sdk-Date`; `0301` covers every signature fault, so there the words decide.
fn complains_of_the_clock(code: &str, message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    let number = code.strip_prefix("APIG.").or_else(|| code.strip_prefix("APIGW."));
    match number {
        Some("0303") => true,
        Some("0301") => ["x-sdk-date", "expired", "timestamp"].iter().any(|word| message.contains(word)),
        _ => false,
    }
}

/// The first object, outermost first, that has a code or an error message, in any of the envelopes seen:
/// `{"error":{"error_code"}}`, `{"error_code"}`, with `request_id`, and IAM's `{"error":{"code":401}}`.
/// The second part is a status that stood where the code should be.
fn find(value: &Value) -> Option<(Told, Option<u16>)> {
    match value {
        Value::Object(map) => here(map).or_else(|| map.values().find_map(find)),
        Value::Array(list) => list.iter().find_map(find),
        _ => None,
    }
}

fn here(map: &Map<String, Value>) -> Option<(Told, Option<u16>)> {
    let code = ["error_code", "errorCode", "code"].iter().find_map(|name| map.get(*name));
    let message = text(map, &["error_msg", "errorMsg", "message"]);
    let coded = code.and_then(Value::as_str).filter(|code| Told::is_code(code));
    let status = code.and_then(|code| match code {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let status = status.filter(|status| (400..600).contains(status));
    if coded.is_none() && (status.is_none() || message.is_none()) {
        return None;
    }
    let request_id = text(map, &["request_id", "requestId"]);
    Some((Told { code: coded.map(str::to_owned), message: message.unwrap_or_default(), request_id }, status))
}

fn text(map: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| map.get(*name)?.as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
}
