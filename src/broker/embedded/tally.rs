//! The sums of one run in one lane.

/// Items and calls of one run in one lane; stored as nine numbers in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) accepted: u64,
    pub(super) tagged: u64,
    pub(super) superseded: u64,
    pub(super) unchanged: u64,
    pub(super) dead: u64,
    /// Jobs, not items, that are not acked.
    pub(super) open_jobs: u64,
    pub(super) calls: u64,
    pub(super) throttled: u64,
    pub(super) retries: u64,
}

impl From<[u64; 9]> for Tally {
    fn from(n: [u64; 9]) -> Self {
        let [accepted, tagged, superseded, unchanged, dead, open_jobs, calls, throttled, retries] = n;
        Self { accepted, tagged, superseded, unchanged, dead, open_jobs, calls, throttled, retries }
    }
}

impl From<Tally> for [u64; 9] {
    fn from(t: Tally) -> Self {
        [t.accepted, t.tagged, t.superseded, t.unchanged, t.dead, t.open_jobs, t.calls, t.throttled, t.retries]
    }
}

impl Tally {
    /// Items that are neither done nor dead. Derived, so an item nobody reported on is never counted as done.
    pub(super) fn pending(&self) -> u64 {
        self.accepted.saturating_sub(self.tagged + self.unchanged + self.dead)
    }
}
