//! May a call leave now: the configured ceiling, the rate learned below it, and the time the cloud asked us to stay away.
//!
//! The ceiling is a GCRA limiter that starts empty: in any t seconds at most burst + t x rate calls leave. Below it the
//! lane learns what the cloud really allows, because other tools share the account's limit.

use super::event::Now;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A clock that stands where the lane's last input put it.
#[derive(Clone, Debug, Default)]
struct LaneClock(Arc<AtomicU64>);

impl Clock for LaneClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

/// Below this share of the ceiling the learned rate does not fall.
const FLOOR: f64 = 0.02;
/// Successes that the cloud's own rate is measured by: at least so many since the last cut, at most so many back.
const SAMPLES: (usize, usize) = (12, 64);
/// After a cut to a limit that was confirmed, the rate is back at it after this long; then it dares more.
const PATIENT: f64 = 150.0;
/// After a cut to a limit that is a guess.
const EAGER: f64 = 12.0;
/// A throttle so few seconds after the last cut says that the cut was too small.
const SOON: f64 = 40.0;

/// What was learned at the last throttle.
#[derive(Clone, Copy, Debug)]
struct Learned {
    at: Now,
    /// Calls a second that the cloud seems to allow.
    limit: f64,
    /// The first rate after the cut, as a share of the limit.
    dip: f64,
    /// Seconds until the rate is back at the limit.
    recovery: f64,
}

/// The pace of one lane.
#[derive(Debug)]
pub struct Pace {
    clock: LaneClock,
    limiter: RateLimiter<NotKeyed, InMemoryState, LaneClock, NoOpMiddleware<Nanos>>,
    ceiling: f64,
    period: Duration,
    /// When the bucket is full again, and how far before that a call may leave: the limiter's own arithmetic, so that
    /// looking costs nothing.
    full_at: Now,
    slack: Duration,
    learned: Option<Learned>,
    /// Under a learned rate calls are evenly spaced.
    next_at: Now,
    blocked_until: Now,
    /// When the last calls since the cut were answered with a success.
    successes: VecDeque<Now>,
}

impl Pace {
    /// A pace whose bucket is empty. `per_second` is finite and above zero, `burst` at least one: the config checks it.
    pub fn new(per_second: f64, burst: u32, now: Now) -> Self {
        let clock = LaneClock::default();
        clock.0.store(nanos(now), Ordering::Relaxed);
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let period = Duration::from_secs_f64(1.0 / per_second.clamp(1e-6, 1e6)).max(Duration::from_nanos(1));
        let quota = Quota::with_period(period).unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN)).allow_burst(burst);
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        // Whoever had the lane before may have spent the burst a moment ago.
        let _ = limiter.check_n(burst);
        let ceiling = 1.0 / period.as_secs_f64();
        Self {
            clock,
            limiter,
            ceiling,
            period,
            full_at: now + period * burst.get(),
            slack: period * (burst.get() - 1),
            learned: None,
            next_at: now,
            blocked_until: Now::ZERO,
            successes: VecDeque::with_capacity(SAMPLES.1),
        }
    }

    /// Another ceiling from now on. The bucket is empty again, so that no window sees more than either ceiling allows;
    /// what was learned of the cloud stays, and so does the time it asked us to stay away.
    pub fn retune(&mut self, per_second: f64, burst: u32, now: Now) {
        let old = std::mem::replace(self, Self::new(per_second, burst, now));
        (self.learned, self.next_at) = (old.learned, old.next_at);
        (self.blocked_until, self.successes) = (old.blocked_until, old.successes);
    }

    /// Calls a second at the moment.
    pub fn rate(&self, now: Now) -> f64 {
        let Some(learned) = self.learned else { return self.ceiling };
        // A cubic: quickly back to just below the limit, slowly past it, then faster and faster.
        let t = now.saturating_sub(learned.at).as_secs_f64() / learned.recovery;
        let rate = learned.limit * (1.0 + (1.0 - learned.dip) * (t - 1.0).powi(3));
        rate.clamp(self.ceiling * FLOOR, self.ceiling)
    }

    /// The time between two calls at the current rate.
    pub fn gap(&self, now: Now) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate(now))
    }

    /// Whether a call may leave now, or when to ask again (always after `now`). Takes nothing.
    pub fn peek(&self, now: Now) -> Result<(), Now> {
        let spaced = if self.learned.is_some() { self.next_at } else { Now::ZERO };
        let earliest = self.blocked_until.max(spaced).max(self.full_at.saturating_sub(self.slack));
        if earliest > now { Err(earliest) } else { Ok(()) }
    }

    /// Takes the permit for one call. The limiter has the last word.
    pub fn take(&mut self, now: Now) -> Result<(), Now> {
        self.peek(now)?;
        self.clock.0.store(nanos(now), Ordering::Relaxed);
        if let Err(not_until) = self.limiter.check() {
            let at = not_until.earliest_possible().duration_since(Nanos::default());
            return Err(Duration::from(at).max(now + Duration::from_nanos(1)));
        }
        self.full_at = self.full_at.max(now) + self.period;
        self.next_at = now + self.gap(now);
        Ok(())
    }

    /// The cloud answered a call that left at `departed` with a throttle and wants to be left alone for `hold`.
    pub fn throttled(&mut self, now: Now, departed: Now, hold: Duration) {
        self.blocked_until = self.blocked_until.max(now + hold);
        if self.learned.is_some_and(|learned| departed <= learned.at) {
            // It left before the last cut, so it says nothing about the rate after it.
            return;
        }
        let rate = self.rate(now);
        // What got through just now is what the cloud allows, give or take its burst; it is never more than we sent.
        let limit = self.measured().map_or(rate * 0.7, |measured| measured.clamp(rate * 0.5, rate));
        let confirmed = self.learned.filter(|learned| (limit / learned.limit - 1.0).abs() < 0.05);
        let (dip, recovery) = match confirmed {
            Some(learned) if now.saturating_sub(learned.at).as_secs_f64() > SOON => (0.985, PATIENT),
            Some(_) => (0.95, PATIENT),
            None => (0.9, EAGER),
        };
        self.learned = Some(Learned { at: now, limit: limit.max(self.ceiling * FLOOR), dip, recovery });
        self.successes.clear();
    }

    /// Successes a second since the last cut.
    fn measured(&self) -> Option<f64> {
        let (first, last) = (self.successes.front()?, self.successes.back()?);
        let seconds = Duration::saturating_sub(*last, *first).as_secs_f64();
        (self.successes.len() >= SAMPLES.0 && seconds > 0.0).then(|| (self.successes.len() - 1) as f64 / seconds)
    }

    /// A call was answered with a success.
    pub fn succeeded(&mut self, now: Now) {
        if self.successes.len() == SAMPLES.1 {
            self.successes.pop_front();
        }
        self.successes.push_back(now);
        if self.learned.is_some() && self.rate(now) >= self.ceiling {
            // Back at the ceiling: bursts are allowed again.
            self.learned = None;
        }
    }

    /// No call leaves before then.
    pub fn stay_away(&mut self, until: Now) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// Until when the cloud asked us to stay away.
    pub fn blocked_until(&self) -> Now {
        self.blocked_until
    }
}

fn nanos(now: Now) -> u64 {
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}
