//! Whether this worker may still act: the broker has confirmed something of ours a moment ago.

use super::{
    consuming::Consuming,
    fault::answered,
    link::LinkState,
    message::Message,
    names::Names,
    publisher::Publisher,
    topology::{self, short},
};
use lapin::{options::QueueDeclareOptions, types::FieldTable};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

/// Proof that is renewed all the time. Clones share it.
///
/// After a silent cut the broker hands our lanes to another worker two heartbeats after it last heard of us at the
/// earliest, so proof that is younger than that says that they are ours. A process that was frozen finds its proof old
/// when it wakes: the clock went on. (It stands still while a whole machine sleeps; a worker is no laptop.)
#[derive(Clone, Debug)]
pub struct Lease {
    proven: watch::Sender<Proof>,
}

#[derive(Clone, Copy, Debug)]
struct Proof {
    at: Option<Instant>,
    heartbeat: Duration,
}

impl Lease {
    pub(super) fn new(heartbeat: u16) -> Self {
        Self { proven: watch::Sender::new(Proof { at: None, heartbeat: seconds(heartbeat) }) }
    }

    /// Whether the broker has heard of us so recently that our lanes are still ours.
    pub fn is_fresh(&self) -> bool {
        self.proven.borrow().is_fresh()
    }

    /// Waits until it is.
    pub(super) async fn fresh(&self) {
        let mut proven = self.proven.subscribe();
        // The sender is here, so there is always somebody to wait for.
        let _ = proven.wait_for(Proof::is_fresh).await;
    }

    /// How long to wait between two proofs.
    pub(super) fn pause(&self) -> Duration {
        self.proven.borrow().heartbeat / 2
    }

    /// Both sides have agreed on a heartbeat.
    pub(super) fn agree(&self, heartbeat: u16) {
        if heartbeat > 0 {
            self.proven.send_modify(|proof| proof.heartbeat = seconds(heartbeat));
        }
    }

    /// The broker has answered something that was asked at this time.
    pub(super) fn prove(&self, asked: Instant) {
        self.proven.send_modify(|proof| proof.at = proof.at.max(Some(asked)));
    }
}

/// Proves the lease again and again, for ever: by a message that the broker confirms, or, while an alarm keeps the broker
/// from taking any, by an answer on the connection that consumes, which is never blocked.
pub(super) async fn prove(lease: Lease, publisher: Publisher, consuming: Arc<Consuming>, names: Names) {
    loop {
        let asked = Instant::now();
        let message = Message::json(names.direct(), names.lease().to_string(), "lease".into(), Vec::new());
        let mut publishing = pin!(publisher.publish(vec![message]));
        let mut look = interval_at(asked + lease.pause(), lease.pause());
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                confirmed = &mut publishing => {
                    if confirmed.is_ok() {
                        lease.prove(asked);
                    }
                    break;
                }
                _ = look.tick() => {
                    let asked = Instant::now();
                    let is_blocked = matches!(*publisher.state().borrow(), LinkState::Blocked(_));
                    if is_blocked && asks(&consuming, &names).await.is_some() {
                        lease.prove(asked);
                    }
                }
            }
        }
        sleep_until(asked + lease.pause()).await;
    }
}

/// An answer of the broker on the connection that consumes.
async fn asks(consuming: &Consuming, names: &Names) -> Option<()> {
    let channel = consuming.present().await?.channel().await.ok()?;
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    let asked = channel.queue_declare(short(names.lease()).ok()?, passive, FieldTable::default());
    let answer = answered("asking for the lease", asked).await;
    topology::close(&channel).await;
    answer.ok().map(|_| ())
}

impl Proof {
    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < self.heartbeat * 2)
    }
}

fn seconds(heartbeat: u16) -> Duration {
    Duration::from_secs(u64::from(heartbeat.max(1)))
}
