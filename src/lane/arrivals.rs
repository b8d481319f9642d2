//! The jobs of a lane in the order they arrived, so that the oldest is known at any time.

use super::ledger::JobKey;

/// Nobody.
const NONE: JobKey = JobKey::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    older: JobKey,
    newer: JobKey,
}

/// A chain from the oldest job to the newest. Each link is stored at its job's number, which may be used again.
#[derive(Debug)]
pub struct Arrivals {
    links: Vec<Link>,
    oldest: JobKey,
    newest: JobKey,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self { links: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl Arrivals {
    /// A job arrives; it is not in the chain.
    pub fn push(&mut self, job: JobKey) {
        let link = Link { older: self.newest, newer: NONE };
        match self.links.get_mut(job as usize) {
            Some(slot) => *slot = link,
            None => self.links.resize(job as usize + 1, link),
        }
        match self.links.get_mut(self.newest as usize) {
            Some(before) => before.newer = job,
            None => self.oldest = job,
        }
        self.newest = job;
    }

    /// A job leaves; it is in the chain.
    pub fn remove(&mut self, job: JobKey) {
        let Some(Link { older, newer }) = self.links.get(job as usize).copied() else { return };
        match self.links.get_mut(older as usize) {
            Some(before) => before.newer = newer,
            None => self.oldest = newer,
        }
        match self.links.get_mut(newer as usize) {
            Some(behind) => behind.older = older,
            None => self.newest = older,
        }
    }

    /// The job that has been here longest.
    pub fn oldest(&self) -> Option<JobKey> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// From the oldest to the newest.
    pub fn iter(&self) -> impl Iterator<Item = JobKey> {
        let newer = |job: &JobKey| self.links.get(*job as usize).map(|link| link.newer).filter(|job| *job != NONE);
        std::iter::successors(self.oldest(), newer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_arrival_survives_jobs_that_leave_and_numbers_that_are_used_again() {
        let mut arrivals = Arrivals::default();
        assert_eq!(arrivals.oldest(), None);
        for job in [0, 1, 2, 3] {
            arrivals.push(job);
        }
        arrivals.remove(1);
        arrivals.remove(0);
        arrivals.push(0);
        assert_eq!(arrivals.iter().collect::<Vec<_>>(), [2, 3, 0]);
        arrivals.remove(0);
        arrivals.push(1);
        assert_eq!((arrivals.oldest(), arrivals.iter().collect::<Vec<_>>()), (Some(2), vec![2, 3, 1]));
        for job in [3, 2, 1] {
            arrivals.remove(job);
        }
        assert_eq!((arrivals.oldest(), arrivals.iter().count()), (None, 0));
        arrivals.push(3);
        assert_eq!(arrivals.iter().collect::<Vec<_>>(), [3]);
    }
}
