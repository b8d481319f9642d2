//! What happened to the calls of one cloud, as the inspection reports it.

use serde::{Deserialize, Serialize};

/// How one call ended. Every request of a cloud ends in exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, for every resource.
    Ok,
    /// Answered 200 with failed resources in it.
    Partial,
    /// Too fast.
    Throttled,
    /// A 500 with the provider's code.
    Error500,
    /// A 502 with a page.
    Error502,
    /// A 503 with the provider's code, outages included.
    Error503,
    /// Refused for what it said: a limit, a name, an id that is not there.
    Rejected,
    /// Refused for who sent it.
    Auth,
    /// Refused for want of permission.
    Denied,
    /// Refused because a resource is not ready yet.
    NotReady,
    /// The connection was dropped without an answer.
    Reset,
    /// The answer broke off.
    Truncated,
}

/// How often each outcome came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each is the outcome of the same name")]
pub struct Outcomes {
    pub ok: u64,
    pub partial: u64,
    pub throttled: u64,
    pub error_500: u64,
    pub error_502: u64,
    pub error_503: u64,
    pub rejected: u64,
    pub auth: u64,
    pub denied: u64,
    pub not_ready: u64,
    pub reset: u64,
    pub truncated: u64,
}

/// The numbers of one cloud. Inspection and token requests are not among them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Every HTTP request to the tagging API.
    pub requests: u64,
    /// How they ended; the sum is `requests` less those in flight.
    pub outcomes: Outcomes,
    /// Calls that were carried out for at least one resource, whether the answer arrived or not.
    pub applied_calls: u64,
    /// Resources those calls were carried out for.
    pub applied_items: u64,
    /// Resources reported as failed inside a 200.
    pub failed_items: u64,
    /// Answers that were held back by the `slow` fault.
    pub slow: u64,
    /// Calls being answered at this moment.
    pub in_flight: u64,
    /// The most calls being answered at one moment.
    pub max_in_flight: u64,
    /// Calls that named a resource which another call, not answered yet, had also named.
    pub overlapping: u64,
    /// The most requests in any window of one second.
    pub peak_per_second: u64,
    /// The most requests above `burst + t x per_second` in any window; 0 without a limit.
    pub max_excess: f64,
    /// Requests that came with the limit used up, slack granted.
    pub limit_violations: u64,
    /// Requests that came before the moment an earlier throttle had named, slack granted.
    pub before_retry_after: u64,
    /// Tokens issued by the identity service.
    pub tokens_issued: u64,
}

impl Outcomes {
    /// Counts one more.
    pub(super) fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Ok => &mut self.ok,
            Outcome::Partial => &mut self.partial,
            Outcome::Throttled => &mut self.throttled,
            Outcome::Error500 => &mut self.error_500,
            Outcome::Error502 => &mut self.error_502,
            Outcome::Error503 => &mut self.error_503,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Auth => &mut self.auth,
            Outcome::Denied => &mut self.denied,
            Outcome::NotReady => &mut self.not_ready,
            Outcome::Reset => &mut self.reset,
            Outcome::Truncated => &mut self.truncated,
        } += 1;
    }
}
