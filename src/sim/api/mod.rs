//! The simulated APIs. Each folder is one cloud: how its requests look, what it refuses, and in which words.
//!
//! A further cloud joins with its folder and its rows in [`APIS`]. It says which requests are its own (`claims`) and
//! answers them (`answer`), usually by finding the account and handing a [`Dialect`] to [`super::call::answer`],
//! which does what all clouds share: switches, limits, faults, applying, counting.

pub(super) mod alibaba;
pub(super) mod aws;
pub(super) mod huawei;

use super::{
    call::Exchange,
    cloud::{Cloud, World},
    counts::Outcome,
    reply::Reply,
    request::Request,
};
use jiff::Timestamp;
use std::borrow::Cow;

/// One family of requests.
pub(super) struct Family {
    /// Whether a request is of this family, by its shape alone.
    pub(super) claims: fn(&Request) -> bool,
    /// The answer to such a request.
    pub(super) answer: fn(&World, &Request) -> Exchange,
}

/// Every family; the first to claim a request answers it.
pub(super) const APIS: &[Family] = &[
    Family { claims: huawei::iam::claims, answer: huawei::iam::answer },
    Family { claims: huawei::tms::claims, answer: huawei::tms::answer },
    Family { claims: alibaba::sts::claims, answer: alibaba::sts::answer },
    Family { claims: aws::sts::claims, answer: aws::sts::answer },
    // AWS names its scheme; Alibaba Cloud is known by its parameters.
    Family { claims: aws::claims, answer: aws::answer },
    Family { claims: alibaba::claims, answer: alibaba::answer },
];

/// What a valid call asks for.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) resources: Vec<Target>,
    pub(super) op: Op,
}

/// One resource of a call.
#[derive(Debug)]
pub(super) struct Target {
    /// Its name among all resources of the cloud.
    pub(super) key: String,
    /// Its id, for patterns.
    pub(super) id: String,
    /// How the reply speaks of it: its type (TMS) or its ARN as sent (Tag).
    pub(super) label: String,
}

/// What to do with each resource.
#[derive(Debug)]
pub(super) enum Op {
    Set(Vec<(String, String)>),
    /// All tags of a resource at once.
    Replace(Vec<(String, String)>),
    Unset(Vec<String>),
    Clear,
    Read,
}

/// A refusal in the provider's own words.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    pub(super) outcome: Outcome,
    /// S3: where the bucket is.
    pub(super) region: Option<String>,
}

impl Refusal {
    pub(super) fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        outcome: Outcome,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), outcome, region: None }
    }

    /// The request is wrong in itself.
    pub(super) fn rejected(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(status, code, message, Outcome::Rejected)
    }

    /// The identity is wrong.
    pub(super) fn auth(status: u16, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(status, code, message, Outcome::Auth)
    }
}

/// What every cloud can run into, to be put in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Too many requests.
    Throttled,
    /// A coded 500, by chance or because of a poisoned id.
    Internal,
    /// A coded 503, by chance or because of an outage.
    Unavailable,
    /// No permission, for the whole account or for one resource.
    Denied,
    /// The key is revoked.
    Revoked,
    /// The key's session is over.
    Expired,
    /// The nonce was used before.
    Replayed,
    /// The resource does not exist.
    Unknown,
    /// The resource is not ready yet; with a code of the configuration's choice.
    NotReady(Option<String>),
    /// The resource holds as many tags as it may.
    Quota(usize),
    /// The resource fails inside a 200, with a code of the configuration's choice.
    Failed(String, String),
    /// The resource fails inside a 200 for this once.
    Passing,
    /// Another change of the resource is under way.
    Conflict,
    /// A tag of the cloud's own would be changed or lost.
    SystemTag,
}

/// How one API speaks. Everything else about a call is the same for all of them.
pub(super) trait Dialect {
    /// Whether the request proves that it comes from the account; the nonce to remember, where there is one.
    fn authenticate(&self, cloud: &Cloud, now: Timestamp) -> Result<Option<String>, Refusal>;

    /// What the request asks for, every limit checked.
    fn command(&self, cloud: &Cloud) -> Result<Command, Refusal>;

    /// One bad resource fails the whole call, and nothing is applied.
    fn all_or_nothing(&self) -> bool;

    /// A trouble in the provider's words.
    fn words(&self, trouble: &Trouble, cloud: &Cloud) -> Refusal;

    /// The refusal of a whole call.
    fn refuse(&self, refusal: &Refusal, request_id: &str) -> Reply;

    /// The answer to a call that was carried out, with the resources that failed and what a read found.
    fn done(&self, command: &Command, failed: &[(&Target, Refusal)], found: &[(String, String)], id: &str) -> Reply;
}
