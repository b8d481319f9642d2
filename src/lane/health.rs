//! Is it the work, the API, or us? Outages, denials and broken identities, told apart by what else succeeds.

use super::{event::Now, queue::Unit};
use crate::{call::Failure, plan::RowId};
use std::time::Duration;

/// So many calls in a row make an outage, or a lane that is denied everything.
pub const IN_A_ROW: u32 = 5;
/// The same where something has been allowed before: there it is likelier that only some resources are denied.
pub const IN_A_ROW_TRUSTED: u32 = 10;
/// In an outage an item that answers probes with the provider's own 500 is not given up before this long.
pub const PATIENCE: Duration = Duration::from_hours(1);

/// An API that answers nothing but transient failures.
#[derive(Clone, Debug)]
pub struct Outage {
    /// Probes so far.
    pub probes: u32,
    /// When the next may leave.
    pub next_at: Now,
    /// The age of the last untouched row that was a probe.
    pub cursor: u64,
    /// The next probe comes from failed calls, not from untouched work.
    pub from_queue: bool,
}

/// Where the lane stands with its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// As far as we know it is good.
    Good,
    /// A new credential has been asked for.
    Refreshing,
    /// It was refreshed then, and nothing has succeeded since.
    Fresh(Now),
}

/// A verdict that waits: denied, but perhaps everything is.
#[derive(Clone, Debug)]
pub struct Held {
    /// The call.
    pub unit: Unit,
    /// One failure per row.
    pub failures: Vec<Failure>,
    /// When the denial came. A call that left before says nothing of the permissions since.
    pub since: Now,
}

/// What the lane's answers so far say.
#[derive(Debug)]
pub struct Health {
    /// Calls that applied something.
    pub successes: u64,
    /// Of those, since the lane last had a reason to doubt its permissions.
    pub trusted: bool,
    transients: u32,
    streak: u64,
    first_row: Option<RowId>,
    several_rows: bool,
    /// The outage, while there is one.
    pub outage: Option<Outage>,
    /// Where the lane stands with its identity.
    pub identity: Identity,
    denials: u32,
    evidence: u32,
    denied_at: Now,
    /// Denied work whose verdict waits.
    pub held: Vec<Held>,
    /// Why the lane stands still until somebody acts.
    pub paused: Option<String>,
    /// The operator said so.
    pub operator_pause: bool,
    stopped_since: Option<Now>,
    stopped: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            successes: 0,
            trusted: false,
            transients: 0,
            streak: 1,
            first_row: None,
            several_rows: false,
            outage: None,
            identity: Identity::Good,
            denials: 0,
            evidence: 0,
            denied_at: Now::ZERO,
            held: Vec::new(),
            paused: None,
            operator_pause: false,
            stopped_since: None,
            stopped: Duration::ZERO,
        }
    }
}

impl Health {
    /// A call that left then applied something.
    pub fn succeeded(&mut self, departed: Now) {
        self.successes += 1;
        (self.denials, self.evidence) = (0, 0);
        self.trusted |= departed >= self.denied_at;
        if matches!(self.identity, Identity::Fresh(at) if departed >= at) {
            self.identity = Identity::Good;
        }
        self.alive();
    }

    /// The API answered something that is not a transient failure.
    pub fn alive(&mut self) {
        self.streak += u64::from(self.transients > 0);
        self.transients = 0;
        self.first_row = None;
        self.several_rows = false;
    }

    /// A call failed transiently, over these rows. True when that makes an outage.
    pub fn failed(&mut self, rows: &[RowId]) -> bool {
        self.transients += 1;
        for row in rows {
            match self.first_row {
                None => self.first_row = Some(*row),
                Some(first) => self.several_rows |= first != *row,
            }
        }
        self.transients >= IN_A_ROW && self.several_rows
    }

    /// The number of the current run of transient failures.
    pub fn streak(&self) -> u64 {
        self.streak
    }

    /// A whole call was denied. True when that makes so many in a row that everything seems to be. A part of a call
    /// that was denied before (`suspect`) is no evidence where something has been allowed.
    pub fn denied(&mut self, now: Now, suspect: bool) -> bool {
        self.denials += 1;
        self.evidence += u32::from(!suspect || !self.trusted);
        self.denied_at = now;
        self.evidence >= if self.trusted { IN_A_ROW_TRUSTED } else { IN_A_ROW }
    }

    /// Denied calls in a row.
    pub fn denials(&self) -> u32 {
        self.denials
    }

    /// Two in a row: from now on single resources tell whether everything is denied, or something in every call.
    pub fn in_doubt(&self) -> bool {
        self.denials >= 2
    }

    /// The lane stands still.
    pub fn pause(&mut self, why: String) {
        self.paused = Some(why);
        self.trusted = false;
        (self.denials, self.evidence) = (0, 0);
    }

    /// It goes on, and its permissions are in doubt until something succeeds.
    pub fn resume(&mut self) {
        self.paused = None;
        self.operator_pause = false;
        self.trusted = false;
        (self.denials, self.evidence) = (0, 0);
        self.identity = Identity::Good;
    }

    /// Whether calls may leave at all.
    pub fn may_call(&self) -> bool {
        self.paused.is_none() && !self.operator_pause && self.identity != Identity::Refreshing
    }

    /// The clock that stands still in outages, throttle blocks and pauses: by it an item's time is measured.
    pub fn active(&self, now: Now) -> Duration {
        let standing = self.stopped_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        now.saturating_sub(self.stopped + standing)
    }

    /// Tells that clock whether the lane stands still from now on.
    pub fn stand_still(&mut self, now: Now, still: bool) {
        match (self.stopped_since, still) {
            (None, true) => self.stopped_since = Some(now),
            (Some(since), false) => {
                self.stopped += now.saturating_sub(since);
                self.stopped_since = None;
            }
            _ => {}
        }
    }
}
