//! What observers see of a lane: its task writes it, anybody may watch it.

use crate::{
    job::LaneName,
    lane::{Counts, Status},
    telemetry::Tally,
};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// Where a lane stands with its broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stand {
    /// It is being opened.
    #[default]
    Opening,
    /// It is open: what comes, comes here, or another worker has it and this one waits for its turn.
    Open,
    /// It is open and about to end in good order: no new calls.
    Draining,
    /// It is not open for now, and why. It is tried again.
    Away(String),
    /// The broker refuses it, and why: somebody has to change something. It is tried again now and then.
    Refused(String),
    /// It has ended, because the worker ends.
    Closed,
}

impl Stand {
    /// Whether the lane has a feed.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open | Self::Draining)
    }
}

/// A lane as its observers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneView {
    /// Its name.
    pub name: LaneName,
    /// Its provider.
    pub provider: &'static str,
    /// Where it stands with its broker.
    pub stand: Stand,
    /// It has been handed a message since it was opened: this worker is the one that works on it.
    pub active: bool,
    /// When the oldest message it holds was published, or taken on where that is not known.
    pub oldest: Option<Timestamp>,
    /// No more can be taken, because all it holds waits for a retry, the end of an outage, or a pause.
    pub full: bool,
    /// The machine at a glance; its counts go on when the lane is opened again.
    pub status: Status,
    /// Nothing is left in its queue and nothing in the machine, or its task is gone.
    pub finished: bool,
    /// What is counted where it happens.
    pub tally: Arc<Tally>,
}

/// The writing end of a lane's view. When it goes, the view says that the lane has finished.
#[derive(Debug)]
pub(super) struct Board {
    view: watch::Sender<LaneView>,
    /// Told when the stand changes.
    news: Arc<Notify>,
}

impl Board {
    pub(super) fn new(name: LaneName, provider: &'static str, news: Arc<Notify>) -> Self {
        let view = LaneView {
            name,
            provider,
            stand: Stand::Opening,
            active: false,
            oldest: None,
            full: false,
            status: Status::default(),
            finished: false,
            tally: Arc::default(),
        };
        Self { view: watch::Sender::new(view), news }
    }

    pub(super) fn watch(&self) -> watch::Receiver<LaneView> {
        self.view.subscribe()
    }

    /// The lane is with this provider from now on. With another one than before it is counted anew: what was counted is
    /// the other one's.
    pub(super) fn is_with(&self, provider: &'static str) {
        self.view.send_if_modified(|view| {
            let other = view.provider != provider;
            if other {
                (view.provider, view.tally) = (provider, Arc::default());
                view.status.counts = Counts::default();
            }
            other
        });
    }

    /// Where to count.
    pub(super) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.view.borrow().tally)
    }

    /// What has been counted so far.
    pub(super) fn counts(&self) -> Counts {
        self.view.borrow().status.counts
    }

    /// What the lane's task sees now.
    pub(super) fn show(&self, status: Status, active: bool, oldest: Option<Timestamp>, full: bool) {
        self.view.send_if_modified(|view| {
            let same = view.status == status && (view.active, view.oldest, view.full) == (active, oldest, full);
            if !same {
                (view.status, view.active, view.oldest, view.full) = (status, active, oldest, full);
            }
            !same
        });
    }

    /// The lane stands elsewhere. Where it is not open it holds nothing.
    pub(super) fn stand(&self, stand: Stand) {
        self.view.send_modify(|view| {
            if !stand.is_open() {
                let counts = view.status.counts;
                view.status = Status { counts, ..Status::default() };
                (view.active, view.oldest, view.full) = (false, None, false);
            }
            view.stand = stand;
        });
        self.news.notify_one();
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // Whoever watches must not wait for a lane that is gone.
        self.view.send_modify(|view| view.finished = true);
        self.news.notify_one();
    }
}
