//! The config of a process that runs: read again when told to (SIGHUP) or when its file has changed, and taken over only
//! when all of it is right.

use super::notify::Notify;
use crate::{
    config::{self, Config},
    server::Server,
    telemetry,
    worker::{clock, digest},
};
use jiff::Timestamp;
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{Interval, MissedTickBehavior},
};

/// From here on SIGHUP does not end the process.
pub fn hangup() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// How the config has been read since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloads {
    /// The last try was taken over.
    pub last_was_ok: bool,
    /// When a config was last taken over; the first one is that of the start.
    pub taken_over_at: Timestamp,
    /// Tries that were taken over, the start not counted.
    pub ok: u64,
    /// Tries that were refused.
    pub refused: u64,
}

/// Watches the config of one process.
pub struct Reloader {
    path: PathBuf,
    hangup: Signal,
    look: Option<Interval>,
    /// What the file held when it was last read as a config.
    read: Option<u64>,
    /// What it held at the last look: it is read once two looks agree, so that nobody is caught in the middle of writing.
    seen: Option<u64>,
    config: watch::Sender<Arc<Config>>,
    reloads: watch::Sender<Reloads>,
}

impl Reloader {
    /// `read` is the digest of the file from before it was read. `every` is the time between two looks at the file; nought where nobody
    /// looks.
    pub fn new(path: PathBuf, config: Config, read: Option<u64>, (hangup, every): (Signal, Duration)) -> Self {
        let look = Some(every).filter(|every| !every.is_zero()).map(|every| {
            let mut look = tokio::time::interval(every.max(Duration::from_millis(1)));
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        let reloads = Reloads { last_was_ok: true, taken_over_at: clock::wall(), ok: 0, refused: 0 };
        Self {
            path,
            hangup,
            look,
            read,
            seen: read,
            config: watch::Sender::new(Arc::new(config)),
            reloads: watch::Sender::new(reloads),
        }
    }

    /// The config that is in force, and every one that takes its place.
    pub fn config(&self) -> watch::Receiver<Arc<Config>> {
        self.config.subscribe()
    }

    /// Tells Prometheus what became of the tries.
    pub fn count_for(&self, server: &Server) {
        let reloads = self.reloads.subscribe();
        server.metrics().reloads(move || {
            let now = reloads.borrow();
            let taken_over_at = now.taken_over_at.as_duration().as_secs_f64();
            telemetry::Reloads { last_was_ok: now.last_was_ok, taken_over_at, ok: now.ok, refused: now.refused }
        });
    }

    /// Waits until the config is to be read again. Nothing is lost when nobody waits for it any more.
    pub async fn is_due(&mut self) {
        loop {
            tokio::select! {
                Some(()) = self.hangup.recv() => {
                    self.seen = digest(&self.path);
                    return;
                }
                () = tick(&mut self.look) => {
                    let now = digest(&self.path);
                    let stands = now == std::mem::replace(&mut self.seen, now);
                    if now.is_some() && stands && now != self.read {
                        return;
                    }
                }
            }
        }
    }

    /// Reads it and takes it over, or says why not; then everything stays as it was. `take_over` does all of it, or nothing
    /// and says why. `notify` is told where it listens.
    pub async fn reload(&mut self, notify: Option<&Notify>, take_over: impl FnOnce(&Config) -> Result<(), String>) {
        if let Some(notify) = notify {
            notify.reloading(clock::uptime_micros());
        }
        self.read = self.seen;
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path)).await;
        let loaded = loaded.map_err(|error| error.to_string()).and_then(|loaded| loaded.map_err(|e| e.to_string()));
        let path = self.path.display();
        let outcome = loaded.and_then(|config| match take_over(&config) {
            Ok(()) => Ok(config),
            Err(why) => Err(format!("{path}: {why}")),
        });
        let is_ok = outcome.is_ok();
        match outcome {
            Ok(config) => self.taken_over(config),
            Err(why) => {
                let why: Vec<&str> = why.lines().map(str::trim).collect();
                tracing::error!(why = %why.join(" | "), "the config is refused; everything goes on as it was");
            }
        }
        self.reloads.send_modify(|reloads| {
            reloads.last_was_ok = is_ok;
            if is_ok {
                (reloads.ok, reloads.taken_over_at) = (reloads.ok + 1, clock::wall());
            } else {
                reloads.refused += 1;
            }
        });
        if let Some(notify) = notify {
            notify.ready();
        }
    }

    fn taken_over(&mut self, config: Config) {
        let path = self.path.display();
        for warning in &config.warnings {
            tracing::warn!("{path}: {warning}");
        }
        for field in needs_restart(&self.config.borrow(), &config) {
            tracing::warn!("{field} has changed in the config; that takes effect when this process is started again");
        }
        self.config.send_replace(Arc::new(config));
    }
}

/// What differs and cannot be taken over by a process that runs.
fn needs_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    // Its tokens follow by themselves, and so do rules.
    let fixed = |config: &Config| config.server.as_ref().map(|server| (server.listen, server.limits));
    [
        ("broker", old.broker != new.broker),
        ("state", old.state != new.state),
        ("server (listen, limits)", fixed(old) != fixed(new)),
        ("events.queues", old.events.queues != new.events.queues),
        ("events.dedup", old.events.dedup != new.events.dedup),
    ]
    .into_iter()
    .filter_map(|(field, differs)| differs.then_some(field))
    .collect()
}

async fn tick(look: &mut Option<Interval>) {
    match look {
        Some(look) => drop(look.tick().await),
        None => std::future::pending().await,
    }
}
