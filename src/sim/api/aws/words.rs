//! Which code and status each service has for what can happen.

use super::{
    super::{super::counts::Outcome, Refusal, Trouble},
    Service,
};

/// A trouble in a service's own words.
pub(super) fn of(service: Service, trouble: &Trouble) -> Refusal {
    match service {
        Service::S3 | Service::Control => s3(trouble),
        Service::Tagging => json(service, trouble, "ThrottledException", "InternalServiceException"),
        Service::Backup => json(service, trouble, "ThrottlingException", "ServiceUnavailableException"),
        Service::Ml => json(service, trouble, "ThrottlingException", "InternalServerException"),
    }
}

fn json(service: Service, trouble: &Trouble, throttle: &'static str, internal: &'static str) -> Refusal {
    // JSON 1.1 says 400 to whoever may not; JSON over paths says 403.
    let door = if service == Service::Backup { 403 } else { 400 };
    match trouble {
        Trouble::Throttled => Refusal::new(400, throttle, "Rate exceeded", Outcome::Throttled),
        Trouble::Internal | Trouble::Passing | Trouble::Conflict => {
            Refusal::new(500, internal, "An internal error occurred.", Outcome::Error500)
        }
        Trouble::Unavailable => {
            Refusal::new(503, "ServiceUnavailable", "The service is unavailable.", Outcome::Error503)
        }
        Trouble::Denied => {
            Refusal::new(door, "AccessDeniedException", "User is not authorized to do this.", Outcome::Denied)
        }
        Trouble::Revoked | Trouble::Replayed => {
            let message = "The security token included in the request is invalid.";
            Refusal::auth(door, "UnrecognizedClientException", message)
        }
        Trouble::Expired => {
            Refusal::auth(door, "ExpiredTokenException", "The security token included in the request is expired")
        }
        Trouble::Unknown => Refusal::rejected(400, "ResourceNotFoundException", "The resource does not exist."),
        Trouble::NotReady(code) => {
            let code = code.clone().unwrap_or_else(|| internal.to_owned());
            Refusal::new(500, code, "The resource cannot be tagged yet.", Outcome::NotReady)
        }
        Trouble::Quota(most) => {
            let code = match service {
                Service::Backup => "LimitExceededException",
                Service::Ml => "TagLimitExceededException",
                _ => "TagLimitExceeded",
            };
            Refusal::rejected(400, code, format!("A resource has at most {most} tags."))
        }
        Trouble::SystemTag => Refusal::rejected(400, "InvalidParameterException", "aws: is reserved."),
        Trouble::Failed(code, message) => Refusal::rejected(400, code.clone(), message.clone()),
    }
}

fn s3(trouble: &Trouble) -> Refusal {
    match trouble {
        Trouble::Throttled => Refusal::new(503, "SlowDown", "Please reduce your request rate.", Outcome::Throttled),
        Trouble::Internal | Trouble::Passing => {
            let message = "We encountered an internal error. Please try again.";
            Refusal::new(500, "InternalError", message, Outcome::Error500)
        }
        Trouble::Unavailable => Refusal::new(503, "ServiceUnavailable", "Please try again.", Outcome::Error503),
        Trouble::Denied => Refusal::new(403, "AccessDenied", "Access Denied", Outcome::Denied),
        Trouble::Revoked | Trouble::Replayed => {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            Refusal::auth(403, "InvalidAccessKeyId", message)
        }
        Trouble::Expired => Refusal::auth(400, "ExpiredToken", "The provided token has expired."),
        Trouble::Unknown => Refusal::rejected(404, "NoSuchBucket", "The specified bucket does not exist"),
        Trouble::NotReady(code) => {
            let code = code.clone().unwrap_or_else(|| "OperationAborted".to_owned());
            Refusal::new(409, code, CONFLICT, Outcome::NotReady)
        }
        Trouble::Conflict => Refusal::new(409, "OperationAborted", CONFLICT, Outcome::NotReady),
        Trouble::Quota(most) => {
            Refusal::rejected(400, "BadRequest", format!("Object tags cannot be greater than {most}"))
        }
        Trouble::SystemTag => {
            let message = "System tags cannot be added, updated or removed by requester";
            Refusal::rejected(400, "InvalidTag", message)
        }
        Trouble::Failed(code, message) => Refusal::rejected(400, code.clone(), message.clone()),
    }
}

const CONFLICT: &str =
    "A conflicting conditional operation is currently in progress against this resource. Please try again.";
