//! Who sent a request to AWS: signature, time, scope, token, and on S3 the hash of the body.

use super::{
    super::{
        super::{
            cloud::TIME_WINDOW,
            request::Request,
            session::Keys,
            verify::{self, aws::Scoped},
        },
        Refusal, Trouble,
    },
    Service,
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use std::time::Duration;

/// How far the clock may be off at a service that speaks JSON.
const JSON_WINDOW: Duration = Duration::from_mins(5);

/// Errors of identity: 400 in JSON 1.1, 403 in the others.
fn status(service: Service) -> u16 {
    if matches!(service, Service::Tagging | Service::Ml) { 400 } else { 403 }
}

fn is_s3(service: Service) -> bool {
    matches!(service, Service::S3 | Service::Control)
}

/// There is no signature.
pub(super) fn missing(service: Service) -> Refusal {
    if is_s3(service) {
        return Refusal::auth(403, "AccessDenied", "Access Denied");
    }
    Refusal::auth(status(service), "MissingAuthenticationTokenException", "Missing Authentication Token")
}

/// The key is nobody's.
pub(super) fn unknown(service: Service) -> Refusal {
    if is_s3(service) {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Refusal::auth(403, "InvalidAccessKeyId", message);
    }
    let message = "The security token included in the request is invalid.";
    Refusal::auth(status(service), "UnrecognizedClientException", message)
}

/// The signature is for something else.
pub(super) fn wrong_scope(service: Service) -> Refusal {
    mismatch(service, "Credential should be scoped to correct service.")
}

fn mismatch(service: Service, message: &str) -> Refusal {
    let code = if is_s3(service) { "SignatureDoesNotMatch" } else { "InvalidSignatureException" };
    Refusal::auth(status(service), code, message)
}

/// Whether the request proves that it comes from the account.
pub(super) fn authenticate(
    keys: &Keys,
    request: &Request,
    service: Service,
    scoped: &Scoped,
    now: Timestamp,
) -> Result<(), Refusal> {
    let must_be_signed = |name: &str| name == "host" || name == "content-md5" || name.starts_with("x-amz-");
    for name in request.headers.keys().map(hyper::header::HeaderName::as_str) {
        if must_be_signed(name) && !scoped.covers(name) {
            return Err(mismatch(service, &format!("The header {name} is not signed.")));
        }
    }
    let stamp = request.header("x-amz-date").unwrap_or_default();
    let date = read_date(stamp).ok_or_else(|| mismatch(service, "Date must be in ISO-8601 'basic format'."))?;
    if !stamp.starts_with(scoped.date.as_str()) {
        return Err(mismatch(
            service,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date.",
        ));
    }
    check_time(service, date, now)?;
    if is_s3(service) {
        check_body(request)?;
    }
    if !scoped.is_signed_with(&keys.secret, request) {
        return Err(mismatch(
            service,
            "The request signature we calculated does not match the signature you provided.",
        ));
    }
    let sent = request.header("x-amz-security-token").unwrap_or_default();
    let wanted = keys.token.as_deref().unwrap_or_default();
    if verify::equal(sent, wanted) {
        let over = keys.session.as_ref().is_some_and(|session| session.is_over(now));
        return if over { Err(super::words::of(service, &Trouble::Expired)) } else { Ok(()) };
    }
    Err(if is_s3(service) {
        Refusal::auth(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    } else {
        unknown(service)
    })
}

fn read_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn check_time(service: Service, date: Timestamp, now: Timestamp) -> Result<(), Refusal> {
    let off = date.duration_since(now);
    let window = if is_s3(service) { TIME_WINDOW } else { JSON_WINDOW };
    if off.unsigned_abs() <= window {
        return Ok(());
    }
    if is_s3(service) {
        let message = "The difference between the request time and the current time is too large.";
        return Err(Refusal::auth(403, "RequestTimeTooSkewed", message));
    }
    let spell = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let message = if off.is_negative() {
        format!("Signature expired: {} is now earlier than {}", spell(date), spell(now))
    } else {
        format!("Signature not yet current: {} is still later than {}", spell(date), spell(now))
    };
    Err(mismatch(service, &message))
}

/// S3 wants the hash of the body in a header of its own.
fn check_body(request: &Request) -> Result<(), Refusal> {
    let Some(sent) = request.header("x-amz-content-sha256") else {
        let message = "Missing required header for this request: x-amz-content-sha256";
        return Err(Refusal::rejected(400, "InvalidRequest", message));
    };
    if sent == verify::sha256_hex(&request.body) {
        return Ok(());
    }
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    Err(Refusal::rejected(400, "XAmzContentSHA256Mismatch", message))
}
