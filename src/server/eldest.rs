//! How old the oldest dead letter is: exactly where they are few, and at least so old where they are many.
//!
//! AMQP tells how many messages a queue has and not how old they are. One letter cannot be looked at: what is put back
//! goes behind what was put back before (see the walk of the broker's room), and the order of letters must not change.
//! All of them can, in one moment, where they are few. Where they are many, letters are as old as their first sight.

use crate::{
    broker::{
        BrokerError,
        rabbitmq::{Link, dead::DeadLetters},
    },
    worker::clock,
};
use jiff::Timestamp;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Letters that are looked at: each may have a megabyte.
const FEW: u64 = 100;
/// Between two looks, however often letters go.
const LOOK: Duration = Duration::from_mins(1);
/// Between two looks where nothing says that any has gone.
const SURE: Duration = Duration::from_hours(1);

/// When the letters were recorded, as far as is known.
#[derive(Debug, Default)]
pub(super) struct Eldest {
    /// Times and how many letters are of each, the oldest first.
    letters: VecDeque<(Timestamp, u64)>,
    looked_at: Option<Instant>,
    /// Some have gone since the last look, or there has been none: which ones are there is a guess.
    is_guess: bool,
}

impl Eldest {
    /// Nothing seen yet.
    pub(super) fn new() -> Self {
        Self { is_guess: true, ..Self::default() }
    }

    /// The age of the oldest of so many letters; nought where there are none.
    pub(super) async fn age(&mut self, link: &Link, letters: u64) -> Result<Duration, BrokerError> {
        self.count(letters, clock::wall());
        if self.is_due(letters, clock::monotonic()) {
            match DeadLetters::new(link.clone()).times(FEW, clock::wall()).await {
                Ok(times) => self.learn(times),
                // Next time: somebody looks at them, or takes letters that we may not read.
                Err(error @ (BrokerError::InUse(_) | BrokerError::Refused(_))) => {
                    tracing::debug!(%error, "the age of the dead letters is a guess for now");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.age_at(clock::wall()))
    }

    fn known(&self) -> u64 {
        self.letters.iter().map(|(_, count)| count).sum()
    }

    /// There are so many letters now. Those that are new are as old as this look; where some have gone, the oldest are
    /// taken to have gone first, so that none is said to be older than it is.
    fn count(&mut self, letters: u64, now: Timestamp) {
        let known = self.known();
        if letters > known {
            self.letters.push_back((now, letters - known));
        }
        let mut gone = known.saturating_sub(letters);
        self.is_guess |= gone > 0;
        while gone > 0
            && let Some((_, count)) = self.letters.front_mut()
        {
            let some = gone.min(*count);
            (*count, gone) = (*count - some, gone - some);
            if *count == 0 {
                self.letters.pop_front();
            }
        }
        if letters == 0 {
            // Whatever comes now is seen coming.
            self.is_guess = false;
        }
    }

    /// Whether it is worth a look.
    fn is_due(&mut self, letters: u64, now: Instant) -> bool {
        let since = self.looked_at.map(|at| now.saturating_duration_since(at));
        let wait = if self.is_guess { LOOK } else { SURE };
        let due = (1..=FEW).contains(&letters) && since.map_or(self.is_guess, |since| since >= wait);
        if due {
            self.looked_at = Some(now);
        }
        due
    }

    /// All letters were looked at; none where they had become too many.
    fn learn(&mut self, mut times: Vec<Timestamp>) {
        if !times.is_empty() {
            times.sort_unstable();
            self.letters = times.into_iter().map(|at| (at, 1)).collect();
            self.is_guess = false;
        }
    }

    fn age_at(&self, now: Timestamp) -> Duration {
        // A clock elsewhere may be ahead of ours: that is no age below nought.
        let age = self.letters.front().and_then(|(at, _)| Duration::try_from(now.duration_since(*at)).ok());
        age.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn letters_that_come_are_as_old_as_their_first_sight_and_the_oldest_are_taken_to_go_first() {
        let mut eldest = Eldest::new();
        eldest.count(0, at(0));
        assert_eq!(eldest.age_at(at(0)), seconds(0));
        for (letters, then) in [(300, 10), (300, 20), (500, 30)] {
            eldest.count(letters, at(then));
        }
        assert_eq!(eldest.age_at(at(40)), seconds(30));
        eldest.count(201, at(50));
        assert_eq!(eldest.age_at(at(60)), seconds(50), "one of the first may be there still");
        eldest.count(150, at(60));
        assert_eq!(eldest.age_at(at(60)), seconds(30));
        eldest.count(0, at(70));
        eldest.count(1, at(80));
        assert_eq!(eldest.age_at(at(90)), seconds(10));
        assert_eq!(eldest.age_at(at(70)), seconds(0), "no letter is younger than new");
    }

    #[test]
    fn where_they_are_few_they_are_looked_at_at_first_and_when_some_have_gone_and_never_twice_a_minute() {
        let (mut eldest, start) = (Eldest::new(), clock::monotonic());
        let look = |eldest: &mut Eldest, letters: u64, then: u64| {
            eldest.count(letters, at(then.cast_signed()));
            let due = eldest.is_due(letters, start + seconds(then));
            if due {
                eldest.learn(vec![at(-500); usize::try_from(letters).unwrap()]);
            }
            due
        };
        assert!(look(&mut eldest, 3, 15), "those that were there before");
        assert_eq!(eldest.age_at(at(15)), seconds(515));
        assert!(!look(&mut eldest, 5, 90), "who comes is seen coming");
        assert!(look(&mut eldest, 4, 105), "one has gone");
        assert!(!look(&mut eldest, 3, 120), "within a minute");
        assert!(!look(&mut eldest, 4, 150));
        assert!(look(&mut eldest, 4, 165), "what has gone within the minute is not forgotten");
        assert!(!look(&mut eldest, 4, 600));
        assert!(look(&mut eldest, 4, 3_765), "as many may be others after an hour");
        assert!(!look(&mut eldest, 101, 4_000), "they are many");
        assert!(!look(&mut eldest, 0, 4_100));
        assert!(!look(&mut eldest, 1, 4_200));
        assert_eq!(eldest.age_at(at(4_230)), seconds(30));
    }

    #[test]
    fn an_empty_answer_teaches_nothing() {
        let mut eldest = Eldest::new();
        eldest.count(7, at(5));
        eldest.learn(Vec::new());
        assert_eq!((eldest.age_at(at(9)), eldest.is_guess), (seconds(4), true));
        // They come in the order of their queue, which a replay that broke off may have changed.
        eldest.learn(vec![at(3), at(1), at(2)]);
        assert_eq!(eldest.age_at(at(9)), seconds(8));
    }
}
