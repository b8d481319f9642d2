//! The one connection on which all lanes consume: made when it is needed, one at a time, and made anew when it is lost.

use super::{
    address::Address,
    lease::Lease,
    link::{Link, LinkState},
    topology::Topology,
};
use crate::broker::BrokerError;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// Waits between tries to connect: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Something that runs as long as a consuming connection is up, such as answering questions to all workers. It gets the
/// connection and is dropped when that is lost. It must not publish on it.
pub type Companion = Arc<dyn Fn(Link) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The consuming connection.
pub(super) struct Consuming {
    address: Address,
    name: String,
    topology: Topology,
    lease: Lease,
    tell: watch::Sender<LinkState>,
    companions: Mutex<Vec<Companion>>,
    /// Held while connecting: whoever comes in between waits for the same try.
    present: tokio::sync::Mutex<Present>,
}

struct Present {
    link: Option<(Link, Task)>,
    failed: Option<(Instant, BrokerError)>,
    wait: Duration,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Consuming {
    pub(super) fn new(address: Address, name: String, topology: Topology, lease: Lease) -> Self {
        let (tell, _) = watch::channel(LinkState::Lost("not connected yet".into()));
        let present = Present { link: None, failed: None, wait: BACKOFF.0 };
        let (companions, present) = (Mutex::default(), tokio::sync::Mutex::new(present));
        Self { address, name, topology, lease, tell, companions, present }
    }

    /// Adds a companion for the connections to come.
    pub(super) fn add(&self, companion: Companion) {
        self.companions.lock().unwrap_or_else(PoisonError::into_inner).push(companion);
    }

    pub(super) fn state(&self) -> watch::Receiver<LinkState> {
        self.tell.subscribe()
    }

    /// The connection, where there is one.
    pub(super) async fn present(&self) -> Option<Link> {
        let present = self.present.lock().await;
        present.link.as_ref().map(|(link, _)| link.clone()).filter(Link::is_up)
    }

    /// The connection; makes one where there is none. One try for all who ask meanwhile, and a wait after one that
    /// failed.
    pub(super) async fn link(&self) -> Result<Link, BrokerError> {
        let asked = Instant::now();
        let mut present = self.present.lock().await;
        if let Some((link, _)) = &present.link
            && link.is_up()
        {
            return Ok(link.clone());
        }
        present.link = None;
        if let Some((failed, error)) = &present.failed {
            if *failed >= asked {
                return Err(error.clone());
            }
            tokio::time::sleep_until(*failed + present.wait).await;
        }
        match self.connect().await {
            Ok(link) => {
                let watched = Task::spawn(watch_over(link.clone(), self.tell.clone(), self.companions()));
                present.link = Some((link.clone(), watched));
                (present.failed, present.wait) = (None, BACKOFF.0);
                Ok(link)
            }
            Err(error) => {
                tracing::warn!(why = %error, "no connection for consuming");
                self.tell.send_replace(LinkState::Lost(error.to_string()));
                present.failed = Some((Instant::now(), error.clone()));
                present.wait = (present.wait * 2).min(BACKOFF.1);
                Err(error)
            }
        }
    }

    fn companions(&self) -> Vec<Companion> {
        self.companions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn connect(&self) -> Result<Link, BrokerError> {
        let link = Link::open(&self.address, &self.name).await?;
        self.lease.agree(link.heartbeat());
        self.topology.prepare(&link).await?;
        Ok(link)
    }

    /// Says goodbye. Lanes that are still open on it are lost.
    pub(super) async fn close(&self) {
        let gone = self.present.lock().await.link.take();
        if let Some((link, _)) = gone {
            link.close().await;
        }
    }
}

/// Tells what becomes of a connection, and keeps its companions as long as it lives.
async fn watch_over(link: Link, tell: watch::Sender<LinkState>, companions: Vec<Companion>) {
    let mut beside = JoinSet::new();
    for companion in companions {
        beside.spawn(companion(link.clone()));
    }
    let mut state = link.state();
    // What is waited for below must not keep the connection open.
    drop(link);
    loop {
        let now = state.borrow_and_update().clone();
        let lost = matches!(now, LinkState::Lost(_));
        if let LinkState::Lost(why) = &now {
            tracing::warn!(%why, "the connection for consuming is lost, and all lanes on it");
        }
        tell.send_replace(now);
        if lost || state.changed().await.is_err() {
            break;
        }
    }
}

impl fmt::Debug for Consuming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consuming")
            .field("address", &self.address)
            .field("state", &*self.tell.borrow())
            .finish_non_exhaustive()
    }
}
