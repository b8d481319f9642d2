//! How old the dead letter at the head of their queue is, with as few looks at it as can be.

use crate::{
    broker::{
        BrokerError,
        rabbitmq::{Link, dead::DeadLetters},
    },
    worker::clock,
};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// Between two looks at the letter, however often letters go.
const LOOK: Duration = Duration::from_mins(1);
/// Between two looks where nothing says that it has gone.
const SURE: Duration = Duration::from_hours(1);

/// What is known of the head of the queue. A letter keeps its time, so it is looked at again only when letters have gone.
#[derive(Debug, Default)]
pub(super) struct Eldest {
    recorded_at: Option<Timestamp>,
    /// Letters at the last look at the queue.
    letters: u64,
    /// Some have gone since the last look at the letter.
    some_gone: bool,
    looked_at: Option<Instant>,
    /// The broker lets us have no look.
    refused: bool,
}

impl Eldest {
    /// Its age in seconds, of so many letters; nought where there are none, none where it cannot be known.
    pub(super) async fn age(&mut self, link: &Link, letters: u64) -> Result<Option<f64>, BrokerError> {
        if self.is_due(letters, clock::monotonic()) {
            let wall = clock::wall();
            match DeadLetters::new(link.clone()).oldest(wall).await {
                Ok(found) => (self.recorded_at, self.refused) = (found, false),
                // Somebody looks at all of them: next time.
                Err(BrokerError::InUse(_)) => {}
                Err(BrokerError::Refused(why)) => {
                    tracing::debug!(%why, "the age of the dead letters cannot be told");
                    (self.recorded_at, self.refused) = (None, true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(self.age_at(clock::wall()))
    }

    /// Whether it is worth a look, with so many letters in the queue.
    fn is_due(&mut self, letters: u64, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.letters, letters);
        self.some_gone |= letters < before;
        if letters == 0 {
            (self.recorded_at, self.some_gone) = (None, false);
            return false;
        }
        let since = self.looked_at.map(|at| now.saturating_duration_since(at));
        let unknown = (self.recorded_at.is_none() && !self.refused) || self.some_gone;
        let due = since.is_none_or(|since| since >= SURE || (unknown && since >= LOOK));
        if due {
            (self.looked_at, self.some_gone) = (Some(now), false);
        }
        due
    }

    fn age_at(&self, now: Timestamp) -> Option<f64> {
        match self.recorded_at {
            // A clock elsewhere may be ahead of ours.
            Some(at) => Some(now.duration_since(at).as_secs_f64().max(0.0)),
            None => (self.letters == 0).then_some(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_is_looked_at_when_letters_have_gone_and_never_twice_a_minute() {
        let (mut eldest, start) = (Eldest::default(), clock::monotonic());
        let due = |eldest: &mut Eldest, letters: u64, seconds: u64| {
            let due = eldest.is_due(letters, start + Duration::from_secs(seconds));
            if due {
                eldest.recorded_at = Some(Timestamp::UNIX_EPOCH);
            }
            due
        };
        assert!(!due(&mut eldest, 0, 0), "there is nothing to look at");
        assert_eq!(eldest.age_at(Timestamp::UNIX_EPOCH), Some(0.0));
        assert!(due(&mut eldest, 3, 15), "the first letters");
        assert!(!due(&mut eldest, 5, 90), "more letters are younger ones");
        assert!(due(&mut eldest, 4, 105), "one has gone");
        assert!(!due(&mut eldest, 3, 120), "within a minute");
        assert!(!due(&mut eldest, 3, 150));
        assert!(due(&mut eldest, 4, 165), "what has gone within the minute is not forgotten");
        assert!(!due(&mut eldest, 4, 600));
        assert!(due(&mut eldest, 4, 3_765), "as many may be others after an hour");
        assert!(!due(&mut eldest, 0, 3_780));
        assert_eq!(eldest.age_at(Timestamp::UNIX_EPOCH), Some(0.0));
        assert!(!due(&mut eldest, 1, 3_795), "within a minute");
        assert_eq!(eldest.age_at(Timestamp::UNIX_EPOCH), None, "not known yet is not nought");
        assert!(due(&mut eldest, 1, 3_825));
        let later = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(60);
        assert_eq!(eldest.age_at(later), Some(60.0));
    }

    #[test]
    fn who_may_not_look_asks_once_an_hour() {
        let (mut eldest, start) = (Eldest { refused: true, ..Eldest::default() }, clock::monotonic());
        assert!(eldest.is_due(3, start));
        assert!(!eldest.is_due(3, start + Duration::from_mins(59)));
        assert!(eldest.is_due(3, start + SURE));
        assert_eq!(eldest.age_at(Timestamp::UNIX_EPOCH), None);
    }
}
