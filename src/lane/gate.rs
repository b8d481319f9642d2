//! The gate: without marks a job is settled only after every earlier job that shares a resource with it.
//!
//! A broker that cannot remember marks hands an unsettled job over whole after a crash. Were a later job settled before
//! an earlier one of the same resource, the earlier value would come back and stand. So the jobs of a resource stand in
//! line in the order they arrived until they are settled, and a job's documents are written when it is first in each of
//! its lines. The oldest job always is, so jobs never wait for one another in a circle.
//!
//! Lines follow arrival order only. Across priorities a job may yield to one that arrived before it and was created
//! after it; a crash between the two acks then brings the job that yielded back alone, and its value stands.
//!
//! Resources are told apart by a hash. Two that share one stand in one line: a job may wait needlessly, never too little.

use super::{event::Now, ledger::JobKey};
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, collections::hash_map::Entry, iter};

/// Who waits for whom among the jobs that are not settled.
#[derive(Debug, Default)]
pub struct Gate {
    /// By resource: the first in line.
    first: FxHashMap<u64, JobKey>,
    /// By resource, where several jobs name it: who stands behind the first.
    behind: FxHashMap<u64, VecDeque<JobKey>>,
    /// By job: its first resource; most jobs have one.
    own: Vec<u64>,
    /// By job, where it has several: the others.
    more: FxHashMap<JobKey, Box<[u64]>>,
    /// By job: in how many lines it stands behind another. Jobs that are first everywhere are not in here.
    waits: FxHashMap<JobKey, u32>,
    /// Jobs whose items are all final and that only wait, and since when.
    held: FxHashMap<JobKey, Now>,
}

impl Gate {
    /// A job arrives, with the hashes of its resources.
    pub fn enter(&mut self, job: JobKey, mut resources: impl Iterator<Item = u64>) {
        let Some(one) = resources.next() else { return };
        if self.own.len() <= job as usize {
            self.own.resize(job as usize + 1, 0);
        }
        if let Some(slot) = self.own.get_mut(job as usize) {
            *slot = one;
        }
        let mut waits = u32::from(self.stand_in_line(job, one));
        let more: Box<[u64]> = resources.collect();
        for hash in &more {
            waits += u32::from(self.stand_in_line(job, *hash));
        }
        if !more.is_empty() {
            self.more.insert(job, more);
        }
        if waits > 0 {
            self.waits.insert(job, waits);
        }
    }

    /// True when somebody else stands before the job. Two of its own resources with one hash are one place.
    fn stand_in_line(&mut self, job: JobKey, hash: u64) -> bool {
        match self.first.entry(hash) {
            Entry::Vacant(line) => {
                line.insert(job);
                false
            }
            Entry::Occupied(line) if *line.get() == job => false,
            Entry::Occupied(_) => {
                let behind = self.behind.entry(hash).or_default();
                let new = behind.back() != Some(&job);
                if new {
                    behind.push_back(job);
                }
                new
            }
        }
    }

    /// Whether the job's documents may be written: nobody stands before it.
    pub fn is_open(&self, job: JobKey) -> bool {
        !self.waits.contains_key(&job)
    }

    /// The last item of a job that waits is final.
    pub fn hold(&mut self, job: JobKey, now: Now) {
        self.held.insert(job, now);
    }

    /// Jobs that only wait.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// A job is settled and leaves its lines. Says whose documents may be written by that, and since when those jobs are
    /// final.
    #[must_use]
    pub fn settled(&mut self, job: JobKey) -> Vec<(JobKey, Now)> {
        let Some(one) = self.own.get(job as usize).copied() else { return Vec::new() };
        debug_assert!(self.is_open(job), "L6: a job is settled before an earlier one of its resources");
        let more = self.more.remove(&job).unwrap_or_default();
        let mut opened = Vec::new();
        for hash in iter::once(one).chain(more) {
            if let Some(next) = self.leave(job, hash)
                && self.advance(next)
                && let Some(since) = self.held.remove(&next)
            {
                opened.push((next, since));
            }
        }
        opened
    }

    /// Takes the first out of a line; says who is first now.
    fn leave(&mut self, job: JobKey, hash: u64) -> Option<JobKey> {
        let Entry::Occupied(mut line) = self.first.entry(hash) else { return None };
        if *line.get() != job {
            return None;
        }
        let Entry::Occupied(mut behind) = self.behind.entry(hash) else {
            line.remove();
            return None;
        };
        let next = behind.get_mut().pop_front();
        if behind.get().is_empty() {
            behind.remove();
        }
        match next {
            Some(next) => line.insert(next),
            None => line.remove(),
        };
        next
    }

    /// The job is first in one more line. True when that was the last it waited in.
    fn advance(&mut self, job: JobKey) -> bool {
        let Entry::Occupied(mut waits) = self.waits.entry(job) else { return false };
        *waits.get_mut() -= 1;
        let open = *waits.get() == 0;
        if open {
            waits.remove();
        }
        open
    }

    /// Nobody waits any more: whoever has no documents yet has been handed back.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Now = Now::from_secs(7);

    /// Jobs by number, each with the resources it names, in arrival order.
    fn gate(jobs: &[&[u64]]) -> Gate {
        let mut gate = Gate::default();
        for (job, resources) in (0..).zip(jobs) {
            gate.enter(job, resources.iter().copied());
        }
        gate
    }

    #[test]
    fn a_job_waits_for_the_one_before_it_on_any_of_its_resources() {
        let mut gate = gate(&[&[1], &[2], &[1, 2], &[2]]);
        assert_eq!((0..4).filter(|job| gate.is_open(*job)).collect::<Vec<_>>(), [0, 1]);
        gate.hold(2, AT);
        gate.hold(3, AT);
        assert!(gate.settled(1).is_empty(), "job 0 is still before it");
        assert_eq!(gate.settled(0), [(2, AT)]);
        assert_eq!((gate.settled(2), gate.held()), (vec![(3, AT)], 0));
    }

    #[test]
    fn a_job_that_is_not_final_yet_is_not_held_when_its_turn_comes() {
        let mut gate = gate(&[&[1], &[1]]);
        assert!(gate.settled(0).is_empty());
        assert!(gate.is_open(1));
    }

    #[test]
    fn a_job_never_waits_for_itself_where_two_of_its_resources_share_a_hash() {
        let mut gate = gate(&[&[5, 5], &[5, 5, 5]]);
        assert!(gate.is_open(0));
        gate.hold(1, AT);
        assert_eq!(gate.settled(0), [(1, AT)]);
        assert!(gate.settled(1).is_empty());
    }

    proptest! {
        /// Resources are few, so that hashes meet often; the settling order is any that the gate allows.
        #[test]
        fn every_job_gets_its_turn_after_all_earlier_ones_it_shares_a_resource_with(
            jobs in proptest::collection::vec(proptest::collection::vec(0..6_u64, 1..5), 1..40),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 40),
        ) {
            let named: Vec<&[u64]> = jobs.iter().map(Vec::as_slice).collect();
            let mut gate = gate(&named);
            let mut left: Vec<usize> = (0..jobs.len()).collect();
            for pick in picks.iter().take(jobs.len()) {
                let free = |job: usize| left.iter().filter(|other| **other < job)
                    .all(|other| jobs[*other].iter().all(|resource| !jobs[job].contains(resource)));
                let open: Vec<usize> = left.iter().copied().filter(|job| gate.is_open(*job as JobKey)).collect();
                prop_assert_eq!(&open, &left.iter().copied().filter(|job| free(*job)).collect::<Vec<_>>());
                let job = *pick.get(&open);
                let _ = gate.settled(job as JobKey);
                left.retain(|other| *other != job);
            }
            prop_assert!(gate.first.is_empty() && gate.behind.is_empty() && gate.waits.is_empty() && gate.more.is_empty());
        }
    }
}
