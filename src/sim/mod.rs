//! Simulated clouds over real HTTP: for `tagmill sim`, for the demo and for tests.
//!
//! One port speaks every simulated API; a request finds its API by its shape and its account by its key. A simulated
//! cloud is strict where the real one is (signatures, clock, nonces, limits, character sets, rates), refuses in the
//! real one's words, and fails on purpose where it was told to, with luck that follows from a seed.
//!
//! - `config`, `faults`, `well_known`: what clouds there are and what goes wrong in them.
//! - `server`, `request`, `reply`: HTTP in and out, broken connections included.
//! - `api`: one folder per cloud, its requests and its words; a new cloud joins there.
//! - `call`, `luck`: the way of one call through any cloud, and what chance does to it.
//! - `cloud`, `session`, `store`, `history`, `meter`, `counts`: what a cloud remembers.
//! - `verify`: signatures, computed by a second implementation that shares nothing with the providers'.
//! - `inspect`: `/_sim/...`, to look at all this from outside.
//!
//! Nothing here is used by the worker, and nothing here uses the providers: they meet on the wire only.

mod api;
mod call;
mod cloud;
mod config;
mod counts;
mod faults;
mod history;
mod inspect;
mod luck;
mod meter;
mod pattern;
mod percent;
mod reply;
mod request;
mod server;
mod session;
mod store;
mod verify;
pub mod well_known;

pub use config::{
    Api, BadConfig, BucketRegion, CloudConfig, Rate, RetryAfter, SimConfig, ThrottledBy, User, WrongRegion,
};
pub use counts::{Counts, Outcomes};
pub use faults::{Appears, FailedItems, Faults, Late, Since, Slow, Span, Stale};

use crate::worker::clock;
use cloud::World;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// A running simulator. Dropping it ends it too, a little later.
pub struct Sim {
    addr: SocketAddr,
    world: Arc<World>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Sim {
    /// Starts the clouds on an address; port 0 takes any free one.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or nothing can listen there.
    pub async fn start(config: SimConfig, listen: SocketAddr) -> io::Result<Self> {
        config.check().map_err(|problem| io::Error::new(io::ErrorKind::InvalidInput, problem))?;
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let world = Arc::new(World::new(&config, clock::monotonic()));
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(server::serve(listener, Arc::clone(&world), stopped));
        Ok(Self { addr, world, stop, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, as an endpoint for a lane.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The name and the API of every cloud.
    pub fn clouds(&self) -> impl Iterator<Item = (&str, Api)> {
        self.world.clouds.iter().map(|cloud| (cloud.config.name.as_str(), cloud.config.provider))
    }

    /// Every tag of a cloud by resource; nothing when there is no such cloud.
    pub fn tags(&self, cloud: &str) -> BTreeMap<String, BTreeMap<String, String>> {
        self.world.named(cloud).map(|cloud| cloud.state().store.all()).unwrap_or_default()
    }

    /// The numbers of a cloud; all zero when there is no such cloud.
    pub fn counts(&self, cloud: &str) -> Counts {
        self.world.named(cloud).map(|cloud| cloud.counts()).unwrap_or_default()
    }

    /// Requests that belonged to no cloud: unknown keys, unknown addresses.
    pub fn unmatched(&self) -> u64 {
        self.world.unmatched()
    }

    /// What goes wrong in a cloud.
    pub fn faults(&self, cloud: &str) -> Option<Faults> {
        self.world.named(cloud).map(|cloud| Faults::clone(&cloud.state().faults))
    }

    /// Changes what goes wrong in a cloud, from the next call on.
    ///
    /// # Errors
    /// When there is no such cloud, or a fault has a value it cannot have.
    pub fn set_faults(&self, cloud: &str, faults: Faults) -> Result<(), String> {
        let found = self.world.named(cloud).ok_or_else(|| format!("there is no cloud {cloud:?}"))?;
        if let Some(problem) = faults.problems().into_iter().next() {
            return Err(problem);
        }
        found.state().faults = Arc::new(faults);
        Ok(())
    }

    /// Puts every cloud back to how it started.
    pub fn reset(&self) {
        self.world.reset(clock::monotonic());
    }

    /// Stops listening and drops every connection.
    pub async fn stop(self) {
        // Fails only when the task is gone already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}
