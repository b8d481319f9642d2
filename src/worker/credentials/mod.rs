//! Who the lanes are: one credential for all lanes that are the same somebody, fetched when needed, renewed before it
//! ends, and once for everybody who asks at the same time.

mod alibaba;
mod around;
mod aws;
mod chain;
mod huawei;
mod ini;
mod share;
#[cfg(test)]
mod tests;
mod whoami;

pub use whoami::Identity;

use super::{Client, clock};
use crate::{
    config::{Cloud, Credentials, LaneConfig},
    provider::Credential,
};
use around::Around;
use jiff::{SignedDuration, Timestamp};
use share::Shared;
use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// A credential is renewed so long before it ends, or in the last quarter of its life, whichever is later.
const EARLY: SignedDuration = SignedDuration::from_mins(10);

/// Who somebody wants to be. Lanes that want the same share one credential.
#[derive(Clone, Debug)]
struct Wanted {
    cloud: Cloud,
    /// What of the lane's region makes another credential: identity services are Huawei Cloud's region's own, and AWS's
    /// partition's.
    site: String,
    /// The region of the lane that asked first. It decides whom to ask and not who we are.
    region: String,
    credentials: Credentials,
}

impl Wanted {
    fn of(config: &LaneConfig) -> Self {
        // A provider of no known cloud cannot be in a config; AWS has the most general credentials.
        let cloud = Cloud::of(config.provider.name).unwrap_or(Cloud::Aws);
        let region = config.settings.region.clone();
        let site = match cloud {
            Cloud::Alibaba => String::new(),
            Cloud::Aws => aws::partition(&region).to_owned(),
            Cloud::Huawei => region.clone(),
        };
        Self { cloud, site, region, credentials: config.credentials.clone() }
    }

    fn key(&self) -> (Cloud, &str, &Credentials) {
        (self.cloud, &self.site, &self.credentials)
    }
}

impl PartialEq for Wanted {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Wanted {}

impl Hash for Wanted {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A credential, where it was found, and the time to renew it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) credential: Credential,
    pub(super) renew_at: Option<Timestamp>,
    /// When it ends, where that is known.
    expires_at: Option<Timestamp>,
    /// Where it was found, for people.
    place: String,
}

impl Held {
    fn new(found: chain::Found) -> Self {
        let renew_at = found.expires_at.and_then(|end| renewal(clock::wall(), end));
        Self { credential: found.credential, renew_at, expires_at: found.expires_at, place: found.place }
    }

    /// When it ends, where that is known.
    pub(super) fn ends_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// When to renew what ends then; none where it has ended, and the cloud's refusal is the next thing to happen.
fn renewal(now: Timestamp, end: Timestamp) -> Option<Timestamp> {
    let left = end.duration_since(now);
    if !left.is_positive() {
        return None;
    }
    let early = EARLY.min(left / 4);
    let at = end.checked_sub(early).ok()?;
    // Close to the end nobody is asked more often than once a second.
    Some(at.max(now.checked_add(SignedDuration::from_secs(1)).ok()?))
}

/// Every credential of this process.
#[derive(Debug, Clone)]
pub struct Keepers {
    around: Around,
    shared: Arc<Mutex<HashMap<Wanted, Arc<Shared>>>>,
}

impl Keepers {
    /// Credentials from the environment and the files of this process. The error is the HTTP client's.
    pub fn new(client: Client) -> Result<Self, String> {
        Ok(Self::among(Around::real(client)?))
    }

    fn among(around: Around) -> Self {
        Self { around, shared: Arc::default() }
    }

    /// The keeper of a lane's credential.
    pub(super) fn of(&self, config: &LaneConfig) -> Keeper {
        let wanted = Wanted::of(config);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = shared
            .entry(wanted)
            .or_insert_with_key(|wanted| Arc::new(Shared::new(wanted.clone(), self.around.clone())));
        Keeper { shared: Arc::clone(shared), seen: Arc::default() }
    }
}

/// The credential of one lane. Clones are the same lane.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// The number of the credential that this lane was given last.
    seen: Arc<AtomicU64>,
}

impl Keeper {
    /// What was fetched last and has not ended: a lane that is opened goes on with it.
    pub(super) fn last(&self) -> Option<Arc<Held>> {
        let (number, held) = self.shared.last()?;
        self.seen.store(number, Ordering::Relaxed);
        Some(held)
    }

    /// A credential newer than the one this lane was given last. Somebody else may have fetched it already, or be at it.
    /// The error is for people.
    pub(super) async fn fetch(self) -> Result<Arc<Held>, String> {
        let (number, held) = self.shared.newer_than(self.seen.load(Ordering::Relaxed)).await?;
        self.seen.store(number, Ordering::Relaxed);
        Ok(held)
    }
}
