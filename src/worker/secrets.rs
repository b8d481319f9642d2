//! Files that secrets are kept in, looked at now and then: a lane whose credential has changed there reads it again.

use crate::config::LaneConfig;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::watch, time::MissedTickBehavior};

/// Whom to tell of a change of a file.
type Listeners = Vec<Arc<watch::Sender<u64>>>;

/// The files, and whose credentials are in them.
pub(super) type Files = BTreeMap<PathBuf, Listeners>;

/// More of a file than this is not looked at: no secret is that long.
const LONGEST: u64 = 1 << 20;

/// The files that the credentials of these lanes are in.
pub(super) fn files<'l>(lanes: impl Iterator<Item = (&'l LaneConfig, Arc<watch::Sender<u64>>)>) -> Files {
    let mut files = Files::new();
    for (lane, tell) in lanes {
        for file in lane.credentials.files() {
            files.entry(file.to_owned()).or_default().push(Arc::clone(&tell));
        }
    }
    files
}

/// Looks at the files for ever. What is in one at the first look is what everybody knows.
pub(super) async fn watch(mut files: watch::Receiver<Files>, every: Duration) {
    let mut known: BTreeMap<PathBuf, Option<u64>> = BTreeMap::new();
    let mut look = tokio::time::interval(every.max(Duration::from_millis(1)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = look.tick() => {}
            // A file that is new here is looked at before its secret is used for long.
            Ok(()) = files.changed() => {}
        }
        let now = files.borrow_and_update().clone();
        let paths: Vec<PathBuf> = now.keys().cloned().collect();
        let read = move || paths.into_iter().map(|path| (digest(&path), path)).collect::<Vec<_>>();
        let Ok(found) = tokio::task::spawn_blocking(read).await else { continue };
        known.retain(|path, _| now.contains_key(path));
        for (digest, path) in found {
            // A file that is gone is about to come back, or the next fetch will say that it is missing.
            if digest.is_none() && known.contains_key(&path) {
                continue;
            }
            let before = known.insert(path.clone(), digest);
            if before.is_some_and(|before| before != digest) {
                for tell in now.get(&path).into_iter().flatten() {
                    tell.send_modify(|changes| *changes += 1);
                }
            }
        }
    }
}

/// A number for what is in a file; none where it cannot be read. It is kept in memory and told to nobody.
pub fn digest(path: &Path) -> Option<u64> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    Some(hasher.finish())
}
