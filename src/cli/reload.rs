//! The config of a worker that runs: read again when told to (SIGHUP) or when its file has changed, and taken over only
//! when all of it is right.

use super::notify::Notify;
use crate::{
    config::{self, Config, LaneConfig},
    job::LaneName,
    worker::{Changes, Member, Service, clock, digest},
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

/// Which lanes of a config this worker serves, or why it cannot.
pub type Choose = Box<dyn Fn(&Config) -> Result<Vec<LaneConfig>, String> + Send>;

/// Watches the config of one worker.
pub struct Reloader {
    path: PathBuf,
    choose: Choose,
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
    /// `read` is the digest of the file from before it was read. `every` is the time between two looks at the file; none where nobody looks.
    pub fn new(
        path: PathBuf,
        config: Config,
        read: Option<u64>,
        (hangup, every): (Signal, Option<Duration>),
        choose: Choose,
    ) -> Self {
        let look = every.map(|every| {
            let mut look = tokio::time::interval(every.max(Duration::from_millis(1)));
            look.set_missed_tick_behavior(MissedTickBehavior::Delay);
            look
        });
        let reloads = Reloads { last_was_ok: true, taken_over_at: clock::wall(), ok: 0, refused: 0 };
        Self {
            path,
            choose,
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

    /// What became of the tries, for metrics.
    #[allow(dead_code, reason = "for the metrics of a reload")]
    pub fn reloads(&self) -> watch::Receiver<Reloads> {
        self.reloads.subscribe()
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

    /// Reads it and takes it over, or says why not; then everything stays as it was. `notify` is told where it listens.
    pub async fn reload(&mut self, service: &mut Service, member: &Member, notify: Option<&Notify>) {
        if let Some(notify) = notify {
            notify.reloading(clock::uptime_micros());
        }
        self.read = self.seen;
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || config::load(&path)).await;
        let loaded = loaded.map_err(|error| error.to_string()).and_then(|loaded| loaded.map_err(|e| e.to_string()));
        let outcome = loaded.and_then(|config| self.take_over(config, service, member));
        let is_ok = outcome.is_ok();
        match outcome {
            Ok(changes) => tell(&changes),
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

    fn take_over(&mut self, config: Config, service: &mut Service, member: &Member) -> Result<Changes, String> {
        let path = self.path.display();
        let lanes = (self.choose)(&config).map_err(|why| format!("{path}: {why}"))?;
        let changes = service.reload(&lanes).map_err(|error| format!("{path}: {error}"))?;
        member.serves(lanes.iter().map(|lane| lane.name.clone()).collect());
        for warning in &config.warnings {
            tracing::warn!("{path}: {warning}");
        }
        for field in needs_restart(&self.config.borrow(), &config) {
            tracing::warn!("{field} has changed in the config; that takes effect when the worker is started again");
        }
        self.config.send_replace(Arc::new(config));
        Ok(changes)
    }
}

/// What differs and cannot be taken over by a worker that runs.
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

fn tell(changes: &Changes) {
    let names = |lanes: &[LaneName]| lanes.iter().map(LaneName::as_str).collect::<Vec<_>>().join(", ");
    let Changes { added, removed, reopened, tuned } = changes;
    tracing::info!(
        added = names(added),
        removed = names(removed),
        reopened = names(reopened),
        tuned = names(tuned),
        "the config has been taken over; all other lanes went on without a break"
    );
}

async fn tick(look: &mut Option<Interval>) {
    match look {
        Some(look) => drop(look.tick().await),
        None => std::future::pending().await,
    }
}
