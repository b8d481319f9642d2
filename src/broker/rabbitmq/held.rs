//! What a lane holds unacked, in two orders: by ticket, as the worker got it, and by delivery tag, as the broker did.
//!
//! The two are the same until messages are renewed: a renewed message keeps its number and gets a new tag.

use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// A message that is not acked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its number in this feed.
    pub(super) number: u64,
    /// The broker's name for this delivery of it.
    pub(super) tag: u64,
    /// Tells it from others when it comes back.
    pub(super) print: u64,
    bytes: u64,
    since: Instant,
}

/// What to tell the broker so that some messages are acked and no other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    /// Everything up to this tag.
    pub(super) up_to: Option<u64>,
    /// And each of these.
    pub(super) singles: Vec<u64>,
}

/// The unacked messages of one channel.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Number of the first entry.
    first: u64,
    kept: VecDeque<Option<Kept>>,
    /// Tag of the first entry of `tags`.
    first_tag: u64,
    /// Numbers by tag; nothing where a tag is settled. The first is never nothing.
    tags: VecDeque<Option<u64>>,
    messages: u64,
    bytes: u64,
}

impl Held {
    /// Messages.
    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes of them.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a message is here.
    pub(super) fn has(&self, number: u64) -> bool {
        self.kept(number).is_some()
    }

    /// How long the broker has been waiting for the oldest.
    pub(super) fn oldest(&self, now: Instant) -> Option<Duration> {
        self.in_broker_order().next().map(|kept| now.saturating_duration_since(kept.since))
    }

    /// Takes a new message and numbers it. Nothing when its tag is not above all others: this is no channel of ours.
    pub(super) fn take(&mut self, tag: u64, print: u64, bytes: u64, now: Instant) -> Option<u64> {
        let number = self.first + self.kept.len() as u64;
        self.note(tag, number)?;
        self.kept.push_back(Some(Kept { number, tag, print, bytes, since: now }));
        self.messages += 1;
        self.bytes += bytes;
        Some(number)
    }

    fn note(&mut self, tag: u64, number: u64) -> Option<()> {
        if self.tags.is_empty() {
            self.first_tag = tag;
        }
        let at = usize::try_from(tag.checked_sub(self.first_tag)?).ok()?;
        if at < self.tags.len() {
            return None;
        }
        self.tags.resize(at, None);
        self.tags.push_back(Some(number));
        Some(())
    }

    fn kept(&self, number: u64) -> Option<&Kept> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.kept.get(at)?.as_ref()
    }

    /// All of them, in the order in which the broker would hand them out again.
    pub(super) fn in_broker_order(&self) -> impl Iterator<Item = &Kept> {
        self.tags.iter().filter_map(|number| self.kept((*number)?))
    }

    /// All of them, in the order in which they were handed on.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter().flatten()
    }

    /// Those that the broker would hand out at the wrong place, from the first on, in the order they should have.
    pub(super) fn misplaced(&self) -> Vec<Kept> {
        let mut highest = 0;
        let is_in_place = |kept: &&Kept| {
            let follows = kept.tag > highest;
            highest = kept.tag;
            follows
        };
        let in_place = self.in_order().take_while(is_in_place).count();
        self.in_order().skip(in_place).copied().collect()
    }

    /// Forgets these messages, and says how to ack them. What was acked before is left out.
    pub(super) fn ack(&mut self, numbers: &[u64]) -> Acks {
        let mut tags = Vec::with_capacity(numbers.len());
        for number in numbers {
            let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
            let Some(kept) = at.and_then(|at| self.kept.get_mut(at)?.take()) else { continue };
            self.messages -= 1;
            self.bytes -= kept.bytes;
            self.settle(kept.tag);
            tags.push(kept.tag);
        }
        while self.kept.front().is_some_and(Option::is_none) {
            self.kept.pop_front();
            self.first += 1;
        }
        self.trim();
        tags.sort_unstable();
        // Everything below the lowest tag that is left is settled: of the tags acked now, those go in one word.
        let below = if self.tags.is_empty() { u64::MAX } else { self.first_tag };
        let singles = tags.split_off(tags.partition_point(|tag| *tag < below));
        // The broker must know the tag it is told: an older one that is settled would be an error.
        Acks { up_to: tags.pop(), singles }
    }

    /// The broker was asked to take this one back: the tag means nothing any more.
    pub(super) fn requeued(&mut self, tag: u64) {
        self.settle(tag);
        self.trim();
    }

    /// It came back under a new tag. False when that is not above all others.
    pub(super) fn renewed(&mut self, number: u64, tag: u64, now: Instant) -> bool {
        let at = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let noted = self.note(tag, number).is_some();
        match at.and_then(|at| self.kept.get_mut(at)?.as_mut()) {
            Some(kept) if noted => {
                kept.tag = tag;
                kept.since = now;
                true
            }
            _ => false,
        }
    }

    fn settle(&mut self, tag: u64) {
        let at = tag.checked_sub(self.first_tag).and_then(|at| usize::try_from(at).ok());
        if let Some(slot) = at.and_then(|at| self.tags.get_mut(at)) {
            *slot = None;
        }
    }

    fn trim(&mut self) {
        while self.tags.front().is_some_and(Option::is_none) {
            self.tags.pop_front();
            self.first_tag += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn filled(count: u64) -> Held {
        let mut held = Held::default();
        for n in 0..count {
            assert_eq!(held.take(n + 1, 100 + n, 10, Instant::now()), Some(n));
        }
        held
    }

    fn tags(held: &Held) -> Vec<u64> {
        held.in_broker_order().map(|kept| kept.tag).collect()
    }

    #[test]
    fn what_is_acked_from_the_oldest_on_goes_in_one_word() {
        let mut held = filled(10);
        assert_eq!(held.ack(&[0, 1, 2]), Acks { up_to: Some(3), singles: vec![] });
        assert_eq!(held.ack(&[5, 3, 8]), Acks { up_to: Some(4), singles: vec![6, 9] });
        assert_eq!((held.messages(), held.bytes()), (4, 40));
        // Tag 6 is settled, so the word must name 5, and tag 9 is beyond 8, which is not acked.
        assert_eq!(held.ack(&[4]), Acks { up_to: Some(5), singles: vec![] });
        assert_eq!(held.ack(&[4, 5, 77]), Acks::default(), "a second time is no time");
        assert_eq!(held.ack(&[6, 7, 9]), Acks { up_to: Some(10), singles: vec![] });
        assert_eq!((held.messages(), held.bytes(), held.oldest(Instant::now())), (0, 0, None));
        assert_eq!(held.take(11, 1, 10, Instant::now()), Some(10));
    }

    #[test]
    fn a_renewed_message_keeps_its_number() {
        let mut held = filled(3);
        for tag in [1, 2] {
            held.requeued(tag);
        }
        assert!(held.renewed(0, 4, Instant::now()) && held.renewed(1, 5, Instant::now()));
        assert_eq!(tags(&held), [3, 4, 5]);
        let misplaced: Vec<u64> = held.misplaced().iter().map(|kept| kept.number).collect();
        assert_eq!(misplaced, [2], "it would come before those that were renewed");
        // Number 0 has tag 4 now: tag 3 is older and not acked, so no word may cover it.
        assert_eq!(held.ack(&[0]), Acks { up_to: None, singles: vec![4] });
        assert_eq!(held.ack(&[1, 2]), Acks { up_to: Some(5), singles: vec![] });
        assert!(!held.renewed(0, 6, Instant::now()), "it is acked");
    }

    #[test]
    fn a_tag_that_goes_back_is_refused() {
        let mut held = filled(2);
        assert_eq!(held.take(2, 1, 1, Instant::now()), None);
        assert_eq!(held.take(9, 1, 1, Instant::now()), Some(2), "tags may be missing: they were renewed");
        assert_eq!(tags(&held), [1, 2, 9]);
    }

    proptest! {
        /// Against a broker that acks as the protocol says.
        #[test]
        fn acks_reach_exactly_the_messages_they_are_meant_for(
            steps in proptest::collection::vec((0..4_u8, proptest::collection::vec(any::<prop::sample::Index>(), 0..6)), 1..60)
        ) {
            let mut held = Held::default();
            let (mut unacked, mut next): (BTreeSet<u64>, u64) = (BTreeSet::new(), 1);
            let mut numbers: Vec<(u64, u64)> = Vec::new();
            for (kind, picks) in steps {
                match kind {
                    0 | 1 => for _ in 0..=picks.len() {
                        numbers.push((held.take(next, next, 1, Instant::now()).unwrap(), next));
                        unacked.insert(next);
                        next += 1;
                    },
                    2 if !numbers.is_empty() => {
                        let chosen: Vec<u64> = picks.iter().map(|pick| pick.get(&numbers).0).collect();
                        let acks = held.ack(&chosen);
                        let wanted: BTreeSet<u64> =
                            numbers.iter().filter(|(number, _)| !chosen.contains(number)).map(|(_, tag)| *tag).collect();
                        if let Some(up_to) = acks.up_to {
                            prop_assert!(unacked.contains(&up_to), "the broker does not know tag {up_to}");
                            unacked.retain(|tag| *tag > up_to);
                        }
                        for tag in acks.singles {
                            prop_assert!(unacked.remove(&tag), "the broker does not know tag {tag}");
                        }
                        numbers.retain(|(number, _)| !chosen.contains(number));
                        prop_assert_eq!(&unacked, &wanted);
                    }
                    3 => {
                        let oldest: Vec<Kept> = held.in_broker_order().take(picks.len()).copied().collect();
                        for kept in &oldest {
                            held.requeued(kept.tag);
                            unacked.remove(&kept.tag);
                        }
                        for kept in &oldest {
                            prop_assert!(held.renewed(kept.number, next, Instant::now()));
                            unacked.insert(next);
                            numbers.iter_mut().find(|(number, _)| *number == kept.number).unwrap().1 = next;
                            next += 1;
                        }
                    }
                    _ => {}
                }
                prop_assert_eq!(tags(&held), unacked.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(held.messages(), unacked.len() as u64);
            }
        }
    }
}
