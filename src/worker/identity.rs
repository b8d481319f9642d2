//! Who a lane is at the moment: the credential at hand, the next one on its way, and the way back from a refused one.

use super::{
    Waits, clock,
    credentials::{Held, Keeper},
};
use crate::job::LaneName;
use jiff::{SignedDuration, Timestamp};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::Instant};

/// How long a renewal that failed waits for the next try, while the credential at hand still works.
const RENEW_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// The identity of one lane.
#[derive(Debug)]
pub(super) struct Identity {
    lane: LaneName,
    keeper: Keeper,
    held: Option<Arc<Held>>,
    renew_at: Option<Timestamp>,
    /// The first answer is there, good or bad.
    known: bool,
    fetch: JoinSet<Result<Arc<Held>, String>>,
    /// The fetch on its way is an early one: the credential at hand still works.
    early: bool,
    /// The cloud's clock less ours, once it has complained.
    offset: SignedDuration,
    /// When a refused credential is looked at again, and how often it has been since something worked.
    heal_at: Option<Instant>,
    heals: u32,
    waits: (Duration, Duration),
    /// Told when the files that the credential comes from have changed.
    freshened: watch::Receiver<u64>,
    /// The lane calls nobody.
    nobody: bool,
}

impl Identity {
    pub(super) fn new(lane: LaneName, keeper: Keeper, waits: &Waits, freshened: watch::Receiver<u64>) -> Self {
        Self {
            lane,
            keeper,
            held: None,
            renew_at: None,
            known: false,
            fetch: JoinSet::new(),
            early: false,
            offset: SignedDuration::ZERO,
            heal_at: None,
            heals: 0,
            waits: waits.heal,
            freshened,
            nobody: false,
        }
    }

    /// Goes on with what an earlier owner in this process had, or asks for it.
    pub(super) fn begin(&mut self) {
        match self.keeper.last() {
            Some(held) => self.hold(held),
            None => self.ask(None),
        }
    }

    /// The lane needs none.
    pub(super) fn is_nobody(&mut self) {
        (self.known, self.nobody) = (true, true);
    }

    /// Whether the lane has been told what became of the first fetch; before that it must not have work to call for.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// The credential for a call, and how far the cloud's clock is from ours.
    pub(super) fn now(&self) -> Option<(Arc<Held>, SignedDuration)> {
        self.held.clone().map(|held| (held, self.offset))
    }

    /// Fetches a new one. The time is the cloud's, where it says that our clock is off.
    pub(super) fn ask(&mut self, server_time: Option<Timestamp>) {
        self.early = false;
        if let Some(theirs) = server_time {
            self.offset = theirs.duration_since(clock::wall());
            tracing::warn!(lane = %self.lane, offset = %self.offset, "our clock is off; the cloud's time is used");
        }
        self.fetch.spawn(self.keeper.clone().fetch());
    }

    /// The lane stands still because of its credential. Somebody may correct it where it is kept: it is looked at again
    /// after a while, so that nobody has to start the worker anew.
    pub(super) fn refused(&mut self) {
        let (first, then) = self.waits;
        self.heal_at = Some(Instant::now() + if self.heals == 0 { first } else { then });
        self.heals += 1;
    }

    /// The cloud takes the credential.
    pub(super) fn works(&mut self) {
        self.heals = 0;
    }

    /// The lane goes on with what it has: the operator says so.
    pub(super) fn resumed(&mut self) {
        (self.heal_at, self.heals) = (None, 0);
    }

    /// Waits until the lane has to be told of a new credential, or that there is none and why. Renews in time.
    pub(super) async fn changed(&mut self) -> Result<(), String> {
        loop {
            tokio::select! {
                Some(answer) = self.fetch.join_next() => {
                    let early = std::mem::take(&mut self.early);
                    match answer.unwrap_or_else(|error| Err(error.to_string())) {
                        Ok(held) => {
                            self.hold(held);
                            return Ok(());
                        }
                        // It still works; if it stops to before the next try, the cloud will say so.
                        Err(why) if early => {
                            let lane = &self.lane;
                            tracing::warn!(%lane, %why, "the credential could not be renewed early; tried again in a minute");
                            self.renew_at = clock::wall().checked_add(RENEW_AGAIN).ok();
                        }
                        Err(why) => {
                            self.known = true;
                            return Err(why);
                        }
                    }
                }
                () = until_wall(self.renew_at), if self.fetch.is_empty() => {
                    self.renew_at = None;
                    self.early = true;
                    self.fetch.spawn(self.keeper.clone().fetch());
                }
                // Somebody has changed the secret: it is looked at now, and a lane that stands still for it goes on.
                Ok(()) = self.freshened.changed(), if self.fetch.is_empty() && !self.nobody => {
                    tracing::info!(lane = %self.lane, "a file of the credential has changed; it is read again");
                    let works = self.held.is_some() && self.heal_at.is_none();
                    (self.heal_at, self.heals) = (None, 0);
                    self.ask(None);
                    self.early = works;
                }
                () = until(self.heal_at), if self.fetch.is_empty() => {
                    self.heal_at = None;
                    self.ask(None);
                }
            }
        }
    }

    fn hold(&mut self, held: Arc<Held>) {
        self.renew_at = held.renew_at;
        self.held = Some(held);
        self.known = true;
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn until_wall(at: Option<Timestamp>) {
    match at.map(|at| at.duration_since(clock::wall())) {
        Some(wait) => tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
