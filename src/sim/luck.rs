//! Chance: what it has in store for one call, all of it from one seed.

use super::faults::Faults;
use fastrand::Rng;
use std::{fmt::Write as _, time::Duration};

/// Chance decisions of one call.
pub(super) struct Dice {
    rng: Rng,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed) }
    }

    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.rng.f64() < probability
    }

    fn between(&mut self, min_ms: u64, max_ms: u64) -> Duration {
        Duration::from_millis(self.rng.u64(min_ms..=max_ms.max(min_ms)))
    }

    pub(super) fn request_id(&mut self) -> String {
        let mut text = String::with_capacity(32);
        // Writing to a string cannot fail.
        let _ = write!(text, "{:032x}", self.rng.u128(..));
        text
    }
}

/// What chance has in store for a call. Drawn at once and in a fixed order, so that it depends on nothing else.
pub(super) struct Luck {
    pub(super) reset_before: bool,
    pub(super) error_502: bool,
    pub(super) error_503: bool,
    pub(super) error_500: bool,
    pub(super) reset_after: bool,
    pub(super) truncated: bool,
    pub(super) slow: Option<Duration>,
    pub(super) latency: Duration,
    pub(super) conflict: bool,
    /// How old the state is that a read shows.
    pub(super) behind: Option<Duration>,
}

impl Luck {
    pub(super) fn draw(faults: &Faults, dice: &mut Dice) -> Self {
        let mut luck = Self {
            reset_before: dice.happens(faults.reset_before),
            error_502: dice.happens(faults.error_502),
            error_503: dice.happens(faults.error_503),
            error_500: dice.happens(faults.error_500),
            reset_after: dice.happens(faults.reset_after),
            truncated: dice.happens(faults.truncated),
            slow: dice.happens(faults.slow.probability).then_some(Duration::ZERO),
            latency: Duration::ZERO,
            conflict: false,
            behind: None,
        };
        // Waits come last: how many numbers they take from the stream depends on their range.
        luck.slow = luck.slow.map(|_| dice.between(faults.slow.min_ms, faults.slow.max_ms));
        luck.latency = dice.between(faults.latency.min_ms, faults.latency.max_ms);
        // Drawn only where it is asked for, so that it shifts nobody else's luck.
        luck.conflict = faults.conflict > 0.0 && dice.happens(faults.conflict);
        let stale = faults.stale.probability > 0.0 && dice.happens(faults.stale.probability);
        luck.behind = stale.then(|| dice.between(0, faults.stale.up_to_ms));
        luck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_has_the_same_luck_whatever_the_waits_are() {
        let faults = Faults { error_500: 0.5, reset_after: 0.5, truncated: 0.5, ..Faults::default() };
        let mut waiting = faults.clone();
        waiting.slow.max_ms = 1000;
        waiting.latency.max_ms = 7;
        let draw = |faults: &Faults, seed| {
            let mut dice = Dice::new(seed);
            let luck = Luck::draw(faults, &mut dice);
            (luck.error_500, luck.reset_after, luck.truncated)
        };
        let all: Vec<_> = (0..64).map(|seed| draw(&faults, seed)).collect();
        assert_eq!(all, (0..64).map(|seed| draw(&waiting, seed)).collect::<Vec<_>>());
        assert!(all.contains(&(true, false, true)) && all.contains(&(false, true, false)));
    }
}
