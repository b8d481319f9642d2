//! A simulated cloud in virtual time: it knows the truth.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tagmill::{
    call::{Answer, Blame, Call, Failure, Fate, Kind, Memo, Missing, Op},
    lane::Now,
};

/// How the cloud answers a call with a resource it does not like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// The whole call fails and nobody is named.
    AllOrNothing,
    /// Each failing resource is named; the others are tagged.
    Named,
}

/// What goes wrong, and how often. Shares are per call.
#[derive(Clone, Debug)]
pub struct Faults {
    pub throttle: f64,
    pub retry_after: Option<Duration>,
    pub error_500: f64,
    pub error_503: f64,
    /// The call is carried out, the reply is lost.
    pub lost_reply: f64,
    /// Single resources fail for now, by name.
    pub named_transient: f64,
    /// Resources that never work.
    pub poison: BTreeSet<String>,
    /// Resources that make any call with them fail with 500.
    pub poison_500: BTreeSet<String>,
    /// Resources we may not touch.
    pub denied: BTreeSet<String>,
    /// A key that is never accepted.
    pub bad_key: Option<String>,
    /// A value (of key `k0`) that is never accepted on any resource.
    pub bad_value: Option<String>,
    /// Everything answers 503 in these times.
    pub outages: Vec<(Now, Now)>,
    /// The credential is refused from then on, until it is refreshed.
    pub expires_at: Option<Now>,
    /// Refreshing does not help before then.
    pub revoked_until: Option<Now>,
    /// The answer comes in two steps.
    pub two_steps: f64,
    /// More calls than this per second are throttled.
    pub limit: Option<f64>,
    /// The first so many calls are throttled.
    pub throttle_first: u32,
    /// Resources that are throttled by name, once.
    pub named_throttled_once: BTreeSet<String>,
    /// What an outage answers.
    pub outage_code: &'static str,
    /// The operator grants everything at the first pause.
    pub grant_on_pause: bool,
    /// From then on every resource is not ready.
    pub not_ready_from: Option<Now>,
    /// Before then every call is too early.
    pub too_early_until: Option<Now>,
    /// Resources that do not exist before then.
    pub appears: BTreeMap<String, Now>,
    /// The code for that may mean something else too.
    pub appears_perhaps: bool,
    /// Of the calls after that time, this one (0 is the first) answers 500.
    pub error_500_at: Option<(Now, usize)>,
}

impl Faults {
    pub fn none() -> Self {
        Self {
            throttle: 0.0,
            retry_after: None,
            error_500: 0.0,
            error_503: 0.0,
            lost_reply: 0.0,
            named_transient: 0.0,
            poison: BTreeSet::new(),
            poison_500: BTreeSet::new(),
            denied: BTreeSet::new(),
            bad_key: None,
            bad_value: None,
            outages: Vec::new(),
            expires_at: None,
            revoked_until: None,
            two_steps: 0.0,
            limit: None,
            throttle_first: 0,
            named_throttled_once: BTreeSet::new(),
            outage_code: "http_503",
            grant_on_pause: false,
            not_ready_from: None,
            error_500_at: None,
            too_early_until: None,
            appears: BTreeMap::new(),
            appears_perhaps: false,
        }
    }
}

pub struct Cloud {
    pub style: Style,
    pub faults: Faults,
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    rng: fastrand::Rng,
    tokens: f64,
    refilled: Now,
    pub throttled: u64,
    pub answered: u64,
    pub log: Vec<(Now, usize, &'static str)>,
}

fn failure(kind: Kind, blame: Blame, code: &str, coded: bool) -> Failure {
    Failure { coded, request_id: Some("req-1".into()), ..Failure::new(kind, blame, code, "simulated") }
}

impl Cloud {
    pub fn new(style: Style, faults: Faults, seed: u64) -> Self {
        Self {
            style,
            faults,
            tags: BTreeMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            tokens: 1.0,
            refilled: Now::ZERO,
            throttled: 0,
            answered: 0,
            log: Vec::new(),
        }
    }

    pub fn in_outage(&self, now: Now) -> bool {
        self.faults.outages.iter().any(|(from, to)| (*from..*to).contains(&now))
    }

    /// Carries a call out, or does not, and answers.
    pub fn answer(&mut self, now: Now, call: &Call, memo: Option<&Memo>) -> Answer {
        let answer = self.decide(now, call, memo);
        let word = match &answer {
            Answer::Finished(fates) if fates.iter().all(|fate| !matches!(fate, Fate::Failed(_))) => "ok",
            Answer::Finished(_) => "partial",
            Answer::FollowUp(_) => "follow-up",
            Answer::Failure(failure) => match failure.kind {
                Kind::Throttled => "throttled",
                Kind::Transient => "transient",
                Kind::Auth => "auth",
                Kind::Denied => "denied",
                Kind::Rejected => "rejected",
            },
        };
        self.log.push((now, call.resources.len(), word));
        answer
    }

    fn decide(&mut self, now: Now, call: &Call, memo: Option<&Memo>) -> Answer {
        self.answered += 1;
        if let Some(limit) = self.faults.limit {
            let burst = (limit / 2.0).max(1.0);
            self.tokens = (self.tokens + now.saturating_sub(self.refilled).as_secs_f64() * limit).min(burst);
            self.refilled = now;
            if self.tokens < 1.0 {
                self.throttled += 1;
                return self.throttle();
            }
            self.tokens -= 1.0;
        }
        if self.in_outage(now) {
            let code = self.faults.outage_code;
            if code == "named" {
                let busy = failure(Kind::Transient, Blame::Unnamed, "Busy", true);
                return Answer::Finished(call.resources.iter().map(|_| Fate::Failed(busy.clone())).collect());
            }
            return Answer::Failure(failure(Kind::Transient, Blame::Unnamed, code, !code.starts_with("http")));
        }
        if self.faults.not_ready_from.is_some_and(|from| now >= from) {
            return Answer::Failure(failure(Kind::Transient, Blame::State, "Busy", true));
        }
        if self.faults.too_early_until.is_some_and(|until| now < until) {
            let early = failure(Kind::Transient, Blame::State, "stale_read", false);
            return Answer::Failure(Failure { too_early: true, ..early });
        }
        if let Some((after, nth)) = self.faults.error_500_at
            && now >= after
            && self.log.iter().filter(|(at, ..)| *at >= after).count() == nth
        {
            return Answer::Failure(failure(Kind::Transient, Blame::Unnamed, "InternalError", true));
        }
        if self.faults.throttle_first > 0 {
            self.faults.throttle_first -= 1;
            return self.throttle();
        }
        if self.faults.expires_at.is_some_and(|at| now >= at) {
            return Answer::Failure(failure(Kind::Auth, Blame::Request, "ExpiredToken", true));
        }
        if self.rng.f64() < self.faults.throttle {
            self.throttled += 1;
            return self.throttle();
        }
        if self.rng.f64() < self.faults.error_500 {
            return Answer::Failure(failure(Kind::Transient, Blame::Unnamed, "InternalError", true));
        }
        if self.rng.f64() < self.faults.error_503 {
            return Answer::Failure(failure(Kind::Transient, Blame::Unnamed, "http_503", false));
        }
        if call.resources.iter().any(|r| self.faults.poison_500.contains(&*r.id)) {
            return Answer::Failure(failure(Kind::Transient, Blame::Unnamed, "InternalError", true));
        }
        if memo.is_none() && self.rng.f64() < self.faults.two_steps {
            return Answer::FollowUp(Memo(vec![1]));
        }
        let bad_tag = call.tags.iter().any(|(key, value)| {
            Some(&**key) == self.faults.bad_key.as_deref()
                || (&**key == "k0" && call.op == Op::Set && Some(&**value) == self.faults.bad_value.as_deref())
        });
        if bad_tag && call.op == Op::Set {
            return Answer::Failure(failure(Kind::Rejected, Blame::Tag, "InvalidTagKey.Malformed", true));
        }
        let verdicts: Vec<Option<Failure>> = call
            .resources
            .iter()
            .map(|r| {
                if self.faults.appears.get(&*r.id).is_some_and(|from| now < *from) {
                    let missing = if self.faults.appears_perhaps { Missing::Perhaps } else { Missing::Yes };
                    Some(Failure { missing, ..failure(Kind::Rejected, Blame::Unnamed, "NotThere", true) })
                } else if self.faults.poison.contains(&*r.id) {
                    Some(failure(Kind::Rejected, Blame::Unnamed, "NotFound", true))
                } else if self.faults.denied.contains(&*r.id) {
                    Some(failure(Kind::Denied, Blame::Unnamed, "Forbidden", true))
                } else {
                    None
                }
            })
            .collect();
        if self.style == Style::AllOrNothing
            && let Some(first) = verdicts.iter().flatten().next()
        {
            return Answer::Failure(first.clone());
        }
        let mut fates = Vec::new();
        for (resource, verdict) in call.resources.iter().zip(verdicts) {
            if let Some(verdict) = verdict {
                fates.push(Fate::Failed(verdict));
                continue;
            }
            if self.faults.named_throttled_once.remove(&*resource.id) {
                fates.push(Fate::Failed(failure(Kind::Throttled, Blame::Unnamed, "Throttling", true)));
                continue;
            }
            if self.style == Style::Named && self.rng.f64() < self.faults.named_transient {
                let kind = if self.rng.bool() { Kind::Transient } else { Kind::Throttled };
                fates.push(Fate::Failed(failure(kind, Blame::Unnamed, "Busy", true)));
                continue;
            }
            let own = self.tags.entry(resource.id.to_string()).or_default();
            let before = own.clone();
            for (key, value) in &call.tags {
                match call.op {
                    Op::Set => own.insert(key.to_string(), value.to_string()),
                    Op::Unset => own.remove(&**key),
                };
            }
            own.retain(|key, _| !call.also_unset.iter().any(|other| **other == *key));
            let same = *own == before && self.rng.bool();
            fates.push(if same { Fate::Unchanged } else { Fate::Tagged });
        }
        if self.rng.f64() < self.faults.lost_reply {
            return Answer::Failure(failure(Kind::Transient, Blame::Unnamed, "timeout", false));
        }
        Answer::Finished(fates)
    }

    fn throttle(&mut self) -> Answer {
        let mut failure = failure(Kind::Throttled, Blame::Unnamed, "Throttling", true);
        failure.retry_after = self.faults.retry_after;
        Answer::Failure(failure)
    }
}
