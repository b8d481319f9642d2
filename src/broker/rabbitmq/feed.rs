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
    urgent: Arriving,
    others: Arriving,
    stop: Option<oneshot::Sender<oneshot::Sender<()>>>,
}

/// What comes from one queue.
struct Arriving {
    from: mpsc::Receiver<Ready>,
    /// Taken from the keeper, and not handed over yet.
    kept: VecDeque<Ready>,
    /// Where they are put on their way.
    taken: Vec<Ready>,
}

impl Arriving {
    fn new(from: mpsc::Receiver<Ready>) -> Self {
        Self { from, kept: VecDeque::new(), taken: Vec::new() }
    }

    /// Waits for some. A future that is dropped has taken nothing.
    async fn wait(&mut self, most: usize) {
        self.from.recv_many(&mut self.taken, most).await;
    }

    fn keep(&mut self, most: usize) {
        self.kept.extend(self.taken.drain(..));
        while self.kept.len() < most
            && let Ok(ready) = self.from.try_recv()
        {
            self.kept.push_back(ready);
        }
    }

    /// Appends those off the front that fit into `left` items; the first of all always fits.
    fn hand_over(&mut self, found: &mut Vec<Delivery>, left: &mut usize) {
        while let Some(next) = self.kept.front() {
            if !found.is_empty() && next.items > *left {
                // Nothing that is behind it goes before it.
                *left = 0;
                break;
            }
            *left = left.saturating_sub(next.items);
            found.extend(self.kept.pop_front().map(|ready| ready.delivery));
        }
    }
}

impl RabbitFeed {
    pub(super) fn new(
        lane: LaneName,
        channel: Channel,
        lease: Lease,
        state: Arc<FeedState>,
        (urgent, others): (mpsc::Receiver<Ready>, mpsc::Receiver<Ready>),
        stop: oneshot::Sender<oneshot::Sender<()>>,
    ) -> Self {
        let (urgent, others) = (Arriving::new(urgent), Arriving::new(others));
        Self { lane, channel, lease, state, urgent, others, stop: Some(stop) }
    }

    fn lost(&self, why: &str) -> BrokerError {
        BrokerError::LaneLost(self.lane.clone(), why.to_owned())
    }
}

impl Feed for RabbitFeed {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        let most = most.max(1);
        let Self { urgent, others, state, .. } = &mut *self;
        if urgent.kept.is_empty() && others.kept.is_empty() && state.lost().is_none() {
            tokio::select! {
                biased;
                () = urgent.wait(most) => {}
                () = others.wait(most) => {}
            }
        }
        urgent.keep(most);
        others.keep(most);
        // What is left of a lost lane is somebody else's work by now.
        self.check()?;
        let (mut found, mut left) = (Vec::new(), most);
        self.urgent.hand_over(&mut found, &mut left);
        if left > 0 {
            self.others.hand_over(&mut found, &mut left);
        }
        if found.is_empty() { Err(self.lost("it was closed")) } else { Ok(found) }
    }

    async fn next_urgent(&mut self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        let (most, urgent) = (most.max(1), &mut self.urgent);
        if urgent.kept.is_empty() && self.state.lost().is_none() {
            urgent.wait(most).await;
        }
        urgent.keep(most);
        self.check()?;
        let (mut found, mut left) = (Vec::new(), most);
        self.urgent.hand_over(&mut found, &mut left);
        if found.is_empty() { Err(self.lost("it was closed")) } else { Ok(found) }
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
        let Self { lane, state, urgent, others, .. } = self;
        f.debug_struct("RabbitFeed")
            .field("lane", lane)
            .field("lost", &state.lost())
            .field("kept", &(urgent.kept.len() + others.kept.len()))
            .finish_non_exhaustive()
    }
}
