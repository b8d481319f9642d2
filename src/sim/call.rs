//! One call, the same way for every cloud: switches, identity, limit, faults, the work itself, the numbers.
//!
//! The order is that of a real front door. An outage answers before anybody looks at the signature; a bad signature
//! uses up no one's limit; a throttled call is never looked into; a fault that strikes "after" strikes when the tags
//! are already written. Everything is decided and done at arrival; a slow answer is only held back.

use super::{
    api::{Command, Dialect, Op, Refusal, Target, Trouble},
    cloud::{Cloud, InFlight, State},
    config::{Api, RetryAfter},
    counts::Outcome,
    faults::Faults,
    luck::{Dice, Luck},
    pattern,
    reply::{Delivery, Reply},
    request::Request,
};
use crate::worker::clock;
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// An answer, and the call it ends when it is sent.
pub(super) struct Exchange {
    pub(super) reply: Reply,
    pub(super) in_flight: Option<InFlight>,
}

impl From<Reply> for Exchange {
    fn from(reply: Reply) -> Self {
        Self { reply, in_flight: None }
    }
}

/// The answer of one account to one request.
pub(super) fn answer(cloud: &Arc<Cloud>, request: &Request, dialect: &dyn Dialect) -> Exchange {
    let mut in_flight = InFlight::begin(cloud, request.arrived);
    let (faults, seed) = {
        let mut state = cloud.state();
        // One number of the cloud's own stream per call: a fault more or less in one call shifts no other call's luck.
        let seed = state.rng.u64(..);
        (Arc::clone(&state.faults), seed)
    };
    let mut dice = Dice::new(seed);
    let now = wall(&faults);
    let id = dice.request_id();
    let luck = Luck::draw(&faults, &mut dice);
    let mut call = Call { cloud, request, dialect, faults: &faults, dice, now, id: &id, luck: &luck };
    let (outcome, mut reply) = match call.settle(&mut in_flight) {
        Ok(settled) => settled,
        Err(refusal) => (refusal.outcome, dialect.refuse(&refusal, &id)),
    };
    if outcome == Outcome::Throttled {
        reply = call.retry_after(reply);
    }
    reply.delay = luck.latency;
    if let Some(wait) = luck.slow {
        reply.delay += wait;
        cloud.state().counts.slow += 1;
    }
    in_flight.ended(outcome);
    reply = reply.with("date", http_date(now));
    Exchange { reply, in_flight: Some(in_flight) }
}

/// The cloud's clock.
pub(super) fn wall(faults: &Faults) -> Timestamp {
    let now = clock::wall();
    now.checked_add(SignedDuration::from_secs(faults.clock_offset_s)).unwrap_or(now)
}

/// A moment as HTTP writes it.
pub(super) fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

struct Call<'c> {
    cloud: &'c Arc<Cloud>,
    request: &'c Request,
    dialect: &'c dyn Dialect,
    faults: &'c Faults,
    luck: &'c Luck,
    dice: Dice,
    now: Timestamp,
    id: &'c str,
}

impl Call<'_> {
    fn words(&self, trouble: &Trouble) -> Refusal {
        self.dialect.words(trouble, self.cloud)
    }

    /// Takes the call through the front door, does the work, and says what becomes of the answer.
    fn settle(&mut self, in_flight: &mut InFlight) -> Result<(Outcome, Reply), Refusal> {
        self.admit()?;
        if self.luck.reset_before {
            return Ok((Outcome::Reset, Reply::bad_gateway().delivered(Delivery::Dropped)));
        }
        if self.luck.error_502 {
            return Ok((Outcome::Error502, Reply::bad_gateway()));
        }
        if self.luck.error_503 {
            return Err(self.words(&Trouble::Unavailable));
        }
        if self.luck.error_500 {
            return Err(self.words(&Trouble::Internal));
        }
        let command = self.dialect.command(self.cloud)?;
        in_flight.names(command.resources.iter().map(|target| target.key.clone()).collect());
        if self.luck.conflict && self.cloud.config.provider == Api::AwsS3 && !matches!(command.op, Op::Read) {
            return Err(self.words(&Trouble::Conflict));
        }
        let (outcome, reply) = self.carry_out(&command)?;
        Ok(if self.luck.reset_after {
            (Outcome::Reset, reply.delivered(Delivery::Dropped))
        } else if self.luck.truncated {
            (Outcome::Truncated, reply.delivered(Delivery::Truncated))
        } else {
            (outcome, reply)
        })
    }

    /// Everything that is decided before the request is looked into.
    fn admit(&self) -> Result<(), Refusal> {
        if self.faults.outage {
            return Err(self.words(&Trouble::Unavailable));
        }
        let nonce = self.dialect.authenticate(self.cloud, self.now)?;
        if self.faults.revoked {
            return Err(self.words(&Trouble::Revoked));
        }
        if self.faults.expired {
            return Err(self.words(&Trouble::Expired));
        }
        let mut state = self.cloud.state();
        if nonce.is_some_and(|nonce| !state.fresh_nonce(&nonce, self.request.arrived)) {
            return Err(self.words(&Trouble::Replayed));
        }
        if state.bucket.as_mut().is_some_and(|bucket| !bucket.admit(self.request.arrived)) {
            return Err(self.words(&Trouble::Throttled));
        }
        drop(state);
        if self.faults.deny_all { Err(self.words(&Trouble::Denied)) } else { Ok(()) }
    }

    /// Judges every resource, then writes, all under one lock: calls take effect one after the other.
    fn carry_out(&mut self, command: &Command) -> Result<(Outcome, Reply), Refusal> {
        let all_or_nothing = self.dialect.all_or_nothing();
        let mut state = self.cloud.state();
        let mut failed: Vec<(&Target, Trouble)> = Vec::new();
        let mut good: Vec<&Target> = Vec::new();
        for target in &command.resources {
            if pattern::any(&self.faults.poison_500, &target.id, &target.key) {
                return Err(self.dialect.words(&Trouble::Internal, self.cloud));
            }
            let passing = !all_or_nothing && self.dice.happens(self.faults.transient_items);
            let trouble =
                judge(&mut state, self.faults, self.cloud, command, target, all_or_nothing, self.request.arrived);
            match trouble.or(passing.then_some(Trouble::Passing)) {
                Some(trouble) => failed.push((target, trouble)),
                None => good.push(target),
            }
        }
        if (all_or_nothing || matches!(command.op, Op::Read))
            && let Some(worst) = failed.iter().map(|(_, trouble)| trouble).min_by_key(|trouble| rank(trouble))
        {
            return Err(self.dialect.words(worst, self.cloud));
        }
        let mut found = Vec::new();
        let now = self.request.arrived;
        for target in &good {
            let State { store, history, .. } = &mut *state;
            if self.faults.stale.probability > 0.0 && !matches!(command.op, Op::Read) {
                history.note(&target.key, now, store.get(&target.key));
            }
            match &command.op {
                Op::Set(tags) => store.set(&target.key, tags),
                Op::Replace(tags) => store.replace(&target.key, tags),
                Op::Unset(keys) => store.unset(&target.key, keys),
                Op::Clear => store.clear(&target.key),
                Op::Read => {
                    let then = self.luck.behind.and_then(|behind| history.before(&target.key, now, behind));
                    let fresh = || store.get(&target.key).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
                    found = then.unwrap_or_else(fresh);
                }
            }
        }
        if !matches!(command.op, Op::Read) {
            state.counts.applied_calls += u64::from(!good.is_empty());
            state.counts.applied_items += good.len() as u64;
            state.counts.failed_items += failed.len() as u64;
        }
        drop(state);
        let worded: Vec<(&Target, Refusal)> =
            failed.into_iter().map(|(target, trouble)| (target, self.words(&trouble))).collect();
        let outcome = if worded.is_empty() { Outcome::Ok } else { Outcome::Partial };
        Ok((outcome, self.dialect.done(command, &worded, &found, self.id)))
    }

    /// Adds to a throttle what the configuration says about coming back, and remembers it.
    fn retry_after(&self, reply: Reply) -> Reply {
        let Some(hint) = self.cloud.config.retry_after else { return reply };
        let (wait, reply) = match hint {
            RetryAfter::Seconds(seconds) => {
                (Duration::from_secs(seconds), reply.with("retry-after", seconds.to_string()))
            }
            RetryAfter::Date(seconds) => {
                let until = self.now.checked_add(Duration::from_secs(seconds)).unwrap_or(self.now);
                // The date has no fractions: the moment it names may be up to a second earlier.
                let wait = Duration::from_secs(seconds.saturating_sub(1));
                (wait, reply.with("retry-after", http_date(until)))
            }
            RetryAfter::Milliseconds(ms) => {
                let aws = self.cloud.config.provider.is_aws();
                let name = if aws { "x-amz-retry-after" } else { "x-acs-retry-after" };
                (Duration::from_millis(ms), reply.with(name, ms.to_string()))
            }
        };
        let from = clock::monotonic() + self.luck.latency + self.luck.slow.unwrap_or_default();
        let mut state = self.cloud.state();
        let until = state.quiet.map_or(from + wait, |(_, until)| until.max(from + wait));
        state.quiet = Some((state.quiet.filter(|(_, until)| *until > from).map_or(from, |(first, _)| first), until));
        drop(state);
        reply
    }
}

/// What stands against one resource, if anything.
fn judge(
    state: &mut State,
    faults: &Faults,
    cloud: &Cloud,
    command: &Command,
    target: &Target,
    all_or_nothing: bool,
    now: Instant,
) -> Option<Trouble> {
    if pattern::any(&faults.denied, &target.id, &target.key) {
        return Some(Trouble::Denied);
    }
    if pattern::any(&faults.unknown, &target.id, &target.key) {
        return Some(Trouble::Unknown);
    }
    if state.is_yet_to_appear(faults, &target.key, &target.id, now) {
        return Some(Trouble::Unknown);
    }
    if let Some(late) = state.late(faults, &target.key, &target.id, now) {
        return Some(Trouble::NotReady(late.code.clone()));
    }
    let fits = |pattern: &str| pattern::fits(pattern, &target.id) || pattern::fits(pattern, &target.key);
    if let Some(rule) = faults.failed_items.iter().find(|rule| !all_or_nothing && fits(&rule.id)) {
        return Some(Trouble::Failed(rule.code.clone(), rule.message.clone()));
    }
    let replaces = matches!(command.op, Op::Replace(_) | Op::Clear);
    if replaces && !keeps_system_tags(state, command, target) {
        return Some(Trouble::SystemTag);
    }
    let after = match &command.op {
        Op::Set(tags) => {
            let after = state.store.size_after(&target.key, tags);
            if cloud.config.provider.is_aws() {
                after - system_tags(state.store.get(&target.key)).count()
            } else {
                after
            }
        }
        Op::Replace(tags) => tags.len() - system_tags(pairs(tags)).count(),
        Op::Unset(_) | Op::Clear | Op::Read => 0,
    };
    let most = cloud.config.tags_per_resource.or(cloud.config.provider.quota())?;
    (after > most).then_some(Trouble::Quota(most))
}

fn pairs(tags: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|(key, value)| (key.as_str(), value.as_str()))
}

/// Tags that AWS has set: nobody else may change them, and they count against no quota.
fn system_tags<'t>(tags: impl Iterator<Item = (&'t str, &'t str)>) -> impl Iterator<Item = (&'t str, &'t str)> {
    tags.filter(|(key, _)| key.starts_with("aws:"))
}

/// Whether a replacement leaves AWS's own tags exactly as they are.
fn keeps_system_tags(state: &State, command: &Command, target: &Target) -> bool {
    let mut held: Vec<(&str, &str)> = system_tags(state.store.get(&target.key)).collect();
    let mut sent: Vec<(&str, &str)> = match &command.op {
        Op::Replace(tags) => system_tags(pairs(tags)).collect(),
        _ => Vec::new(),
    };
    held.sort_unstable();
    sent.sort_unstable();
    held == sent
}

/// Which trouble an all-or-nothing cloud speaks of when there are several: permission, then existence, then state.
fn rank(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::Denied => 0,
        Trouble::Unknown => 1,
        Trouble::NotReady(_) => 2,
        _ => 3,
    }
}
