//! The memory of a simulated cloud: tags, limits, tokens, nonces, faults and numbers, all behind one lock.

use super::{
    config::{Api, CloudConfig, SimConfig, Vendor},
    counts::{Counts, Outcome},
    faults::{Appears, Faults, Late, Since},
    history::History,
    meter::{Bucket, Meter},
    pattern,
    session::Session,
    store::Store,
};
use fastrand::Rng;
use jiff::Timestamp;
use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How far a request's date may be from the cloud's clock, on both clouds.
pub(super) const TIME_WINDOW: Duration = Duration::from_mins(15);

/// Every simulated cloud.
pub(super) struct World {
    pub(super) clouds: Vec<Arc<Cloud>>,
    unmatched: AtomicU64,
    /// Temporary keys by access key.
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

impl World {
    pub(super) fn new(config: &SimConfig, now: Instant) -> Self {
        let cloud = |(index, entry): (usize, &CloudConfig)| {
            // Neighbouring seeds must not give neighbouring streams, so the seed goes through a hash.
            let mut hasher = DefaultHasher::new();
            (config.seed, &entry.name).hash(&mut hasher);
            Arc::new(Cloud::new(index, entry.clone(), hasher.finish(), now))
        };
        let clouds = config.clouds.iter().enumerate().map(cloud).collect();
        Self { clouds, unmatched: AtomicU64::new(0), sessions: Mutex::default() }
    }

    /// The cloud of a provider and access key, which may be a temporary one.
    pub(super) fn account(&self, provider: Api, access_key: &str) -> Option<&Arc<Cloud>> {
        self.of(access_key, |config| config.provider == provider)
    }

    /// Any cloud of a vendor and access key, one that knows its account if there is one: who somebody is does not depend
    /// on the API.
    pub(super) fn anyone(&self, vendor: Vendor, access_key: &str) -> Option<&Arc<Cloud>> {
        let known = self.of(access_key, |config| config.provider.vendor() == vendor && config.account_id.is_some());
        known.or_else(|| self.of(access_key, |config| config.provider.vendor() == vendor))
    }

    fn of(&self, access_key: &str, fits: impl Fn(&CloudConfig) -> bool) -> Option<&Arc<Cloud>> {
        let session = self.session(access_key);
        let key = session.as_ref().map_or(access_key, |session| session.account_key());
        self.clouds.iter().find(|cloud| fits(&cloud.config) && cloud.config.access_key == key)
    }

    /// The session of a temporary access key.
    pub(super) fn session(&self, access_key: &str) -> Option<Arc<Session>> {
        self.sessions().get(access_key).cloned()
    }

    pub(super) fn remember(&self, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        self.sessions().insert(session.access_key.clone(), Arc::clone(&session));
        session
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cloud of that name.
    pub(super) fn named(&self, name: &str) -> Option<&Arc<Cloud>> {
        self.clouds.iter().find(|cloud| cloud.config.name == name)
    }

    /// Counts a request that belongs to no cloud: an unknown key, an unknown address.
    pub(super) fn count_unmatched(&self) {
        self.unmatched.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn unmatched(&self) -> u64 {
        self.unmatched.load(Ordering::Relaxed)
    }

    pub(super) fn reset(&self, now: Instant) {
        self.unmatched.store(0, Ordering::Relaxed);
        self.sessions().clear();
        self.clouds.iter().for_each(|cloud| cloud.reset(now));
    }
}

/// One provider at one account.
pub(super) struct Cloud {
    pub(super) index: usize,
    pub(super) config: CloudConfig,
    seed: u64,
    state: Mutex<State>,
}

/// What changes while a cloud runs.
pub(super) struct State {
    pub(super) faults: Arc<Faults>,
    pub(super) rng: Rng,
    pub(super) store: Store,
    pub(super) history: History,
    pub(super) counts: Counts,
    pub(super) meter: Meter,
    pub(super) bucket: Option<Bucket>,
    pub(super) tokens: HashMap<String, Token>,
    /// Resources named by calls that are not answered yet, and by how many.
    pub(super) busy: HashMap<String, u32>,
    /// A throttle named this moment; calls in between come too early.
    pub(super) quiet: Option<(Instant, Instant)>,
    nonces: Nonces,
    started: Instant,
    first_seen: HashMap<String, Instant>,
    /// Calls for resources that do not exist at first.
    asked_for: HashMap<String, u32>,
    generation: u64,
}

/// A token of the identity service.
pub(super) struct Token {
    pub(super) expires: Timestamp,
    pub(super) epoch: u64,
    pub(super) domain_scope: bool,
}

/// Nonces of the last 15 to 30 minutes, as hashes, in two generations: the older one is forgotten whole.
#[derive(Default)]
struct Nonces {
    young: HashSet<u64>,
    old: HashSet<u64>,
    turned: Option<Instant>,
}

impl Nonces {
    /// Remembers a nonce; false when it was known.
    fn fresh(&mut self, nonce: &str, now: Instant) -> bool {
        let turned = *self.turned.get_or_insert(now);
        if now.saturating_duration_since(turned) > TIME_WINDOW {
            self.old = std::mem::take(&mut self.young);
            self.turned = Some(now);
        }
        let mut hasher = DefaultHasher::new();
        nonce.hash(&mut hasher);
        let hash = hasher.finish();
        !self.old.contains(&hash) && self.young.insert(hash)
    }
}

impl Cloud {
    fn new(index: usize, config: CloudConfig, seed: u64, now: Instant) -> Self {
        let state = Mutex::new(State::new(&config, seed, now));
        Self { index, config, seed, state }
    }

    /// The cloud's memory. A panic elsewhere cannot leave it half-written in a way that matters here.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts everything back to the start. Calls in flight finish without touching the new numbers.
    pub(super) fn reset(&self, now: Instant) {
        let mut state = self.state();
        let generation = state.generation + 1;
        *state = State::new(&self.config, self.seed, now);
        state.generation = generation;
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.state();
        let mut counts = state.counts.clone();
        counts.peak_per_second = state.meter.peak as u64;
        counts.max_excess = state.meter.max_excess;
        counts.limit_violations = state.meter.violations;
        counts
    }
}

impl State {
    fn new(config: &CloudConfig, seed: u64, now: Instant) -> Self {
        Self {
            faults: Arc::new(config.faults.clone()),
            rng: Rng::with_seed(seed),
            store: Store::filled(config.provider.ignores_case(), &config.tags),
            history: History::default(),
            counts: Counts::default(),
            meter: Meter::new(config.rate),
            bucket: config.rate.map(Bucket::new),
            tokens: HashMap::new(),
            busy: HashMap::new(),
            quiet: None,
            nonces: Nonces::default(),
            started: now,
            first_seen: HashMap::new(),
            asked_for: HashMap::new(),
            generation: 0,
        }
    }

    /// Remembers a nonce; false when it was known.
    pub(super) fn fresh_nonce(&mut self, nonce: &str, now: Instant) -> bool {
        self.nonces.fresh(nonce, now)
    }

    /// Whether a resource does not exist at this moment; being asked counts as a call for it.
    pub(super) fn is_yet_to_appear(&mut self, faults: &Faults, key: &str, id: &str, now: Instant) -> bool {
        let fits = |rule: &&Appears| pattern::fits(&rule.id, id) || pattern::fits(&rule.id, key);
        let Some(rule) = faults.appears.iter().find(fits) else { return false };
        let from = match rule.since {
            Since::Start => self.started,
            Since::FirstSeen => *self.first_seen.entry(key.to_owned()).or_insert(now),
        };
        let calls = self.asked_for.entry(key.to_owned()).or_insert(0);
        *calls = calls.saturating_add(1);
        let in_time =
            rule.after_ms.is_some_and(|after| now.saturating_duration_since(from) >= Duration::from_millis(after));
        !in_time && rule.after_calls.is_none_or(|after| *calls <= after)
    }

    /// The rule by which a resource is not ready at this moment.
    pub(super) fn late<'f>(&mut self, faults: &'f Faults, key: &str, id: &str, now: Instant) -> Option<&'f Late> {
        let rule = faults.late.iter().find(|rule| pattern::fits(&rule.id, id) || pattern::fits(&rule.id, key))?;
        let from = match rule.since {
            Since::Start => self.started,
            Since::FirstSeen => *self.first_seen.entry(key.to_owned()).or_insert(now),
        };
        (now.saturating_duration_since(from) < Duration::from_millis(rule.after_ms)).then_some(rule)
    }

    /// A call has arrived.
    fn arrive(&mut self, now: Instant, slack: Duration) {
        self.meter.record(now);
        self.counts.requests += 1;
        self.counts.in_flight += 1;
        self.counts.max_in_flight = self.counts.max_in_flight.max(self.counts.in_flight);
        if self.quiet.is_some_and(|(from, until)| now > from + slack && now + slack < until) {
            self.counts.before_retry_after += 1;
        }
    }
}

/// A call between its arrival and its answer. Dropping it ends the call, however it ended.
pub(super) struct InFlight {
    cloud: Arc<Cloud>,
    generation: u64,
    names: Vec<String>,
}

impl InFlight {
    /// Lets a call arrive.
    pub(super) fn begin(cloud: &Arc<Cloud>, now: Instant) -> Self {
        let slack = cloud.config.rate.map_or(25.0, |rate| rate.slack_ms);
        let mut state = cloud.state();
        state.arrive(now, Duration::from_secs_f64(slack / 1000.0));
        Self { cloud: Arc::clone(cloud), generation: state.generation, names: Vec::new() }
    }

    /// Says which resources the call names.
    pub(super) fn names(&mut self, names: Vec<String>) {
        let mut state = self.cloud.state();
        if state.generation != self.generation {
            return;
        }
        let mut shared = false;
        for name in &names {
            let calls = state.busy.entry(name.clone()).or_insert(0);
            *calls += 1;
            shared |= *calls > 1;
        }
        state.counts.overlapping += u64::from(shared);
        drop(state);
        self.names = names;
    }

    /// Says how the call ended.
    pub(super) fn ended(&self, outcome: Outcome) {
        let mut state = self.cloud.state();
        if state.generation == self.generation {
            state.counts.outcomes.add(outcome);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.cloud.state();
        if state.generation != self.generation {
            return;
        }
        state.counts.in_flight -= 1;
        for name in &self.names {
            if let Some(calls) = state.busy.get_mut(name) {
                *calls -= 1;
                if *calls == 0 {
                    state.busy.remove(name);
                }
            }
        }
    }
}
