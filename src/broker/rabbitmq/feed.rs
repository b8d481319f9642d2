//! The deliveries of one lane, as the worker takes them.

use super::{board::FeedState, keeper::Ready, lease::Lease};
use crate::{
    broker::{BrokerError, Delivery, Feed},
    job::LaneName,
};
use lapin::Channel;
use std::{collections::VecDeque, fmt, sync::Arc};
use tokio::sync::{mpsc, oneshot};

/// The deliveries of one lane. Dropping it gives back what is not acked, in order; closing it waits for that.
pub struct RabbitFeed {
    lane: LaneName,
    channel: Channel,
    lease: Lease,
    state: Arc<FeedState>,
    arriving: mpsc::Receiver<Ready>,
    /// Taken from the keeper, and not handed over yet.
    kept: VecDeque<Ready>,
    /// Where they are put on their way.
    taken: Vec<Ready>,
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

impl RabbitFeed {
    pub(super) fn new(
        lane: LaneName,
        channel: Channel,
        lease: Lease,
        state: Arc<FeedState>,
        arriving: mpsc::Receiver<Ready>,
        stop: oneshot::Sender<oneshot::Sender<()>>,
    ) -> Self {
        let (kept, taken) = (VecDeque::new(), Vec::new());
        Self { lane, channel, lease, state, arriving, kept, taken, stop: Some(stop) }
    }

    fn lost(&self, why: &str) -> BrokerError {
        BrokerError::LaneLost(self.lane.clone(), why.to_owned())
    }

    /// At most `most` items off the front; one message always fits.
    fn hand_over(&mut self, most: usize) -> Vec<Delivery> {
        let (mut found, mut items) = (Vec::new(), 0);
        while let Some(next) = self.kept.front() {
            if !found.is_empty() && items + next.items > most {
                break;
            }
            items += next.items;
            found.extend(self.kept.pop_front().map(|ready| ready.delivery));
        }
        found
    }
}

impl Feed for RabbitFeed {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        let most = most.max(1);
        if self.kept.is_empty() && self.state.lost().is_none() {
            // Nothing else is awaited: a future that is dropped here has taken nothing.
            self.arriving.recv_many(&mut self.taken, most).await;
            self.kept.extend(self.taken.drain(..));
        }
        while self.kept.len() < most
            && let Ok(ready) = self.arriving.try_recv()
        {
            self.kept.push_back(ready);
        }
        // What is left of a lost lane is somebody else's work by now.
        self.check()?;
        if self.kept.is_empty() {
            return Err(self.lost("it was closed"));
        }
        Ok(self.hand_over(most))
    }

    fn is_exhausted(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), BrokerError> {
        if let Some(why) = self.state.lost() {
            return Err(self.lost(why));
        }
        if !self.channel.status().connected() {
            return Err(self.lost("its channel is closed"));
        }
        if !self.lease.is_fresh() {
            return Err(self.lost("the broker has confirmed nothing of ours for two heartbeats"));
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let held = self.state.held();
        held.prefetch > 0 && held.messages >= u64::from(held.prefetch)
    }

    fn wants_reopening(&self) -> Option<&'static str> {
        self.state.wanted()
    }

    async fn close(mut self) {
        let (closed, done) = oneshot::channel();
        // A keeper that is gone has closed already.
        if let Some(stop) = self.stop.take()
            && stop.send(closed).is_ok()
        {
            let _ = done.await;
        }
    }
}

impl fmt::Debug for RabbitFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lane, state, kept, .. } = self;
        f.debug_struct("RabbitFeed")
            .field("lane", lane)
            .field("lost", &state.lost())
            .field("kept", &kept.len())
            .finish_non_exhaustive()
    }
}
