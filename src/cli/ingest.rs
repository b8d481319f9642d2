//! `tagmill ingest`: the HTTP interface without lanes, so that it can be exposed while workers are not.

use super::{
    exit,
    log::LogFormat,
    notify::Notify,
    reload::{self, Reloader},
};
use crate::{
    broker::rabbitmq::{LinkState, Publisher},
    config, fleet,
    server::{IsReady, Ready, Server},
    telemetry, worker,
};
use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// Take jobs and events over HTTP and hand them to the broker; tag nothing.
///
/// SIGTERM or Ctrl-C: no new connections; requests on their way are answered. A second one leaves at once.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// How long to wait for requests on their way when told to stop
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = config::duration)]
    drain: Duration,
    /// How often to look whether the config file has changed; 0s: only when told to by SIGHUP
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = config::duration)]
    watch_config: Duration,
    /// How the log on stderr is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    log_format: LogFormat,
}

impl Args {
    /// How it wants its log.
    pub fn log_format(&self) -> telemetry::Format {
        self.log_format.format()
    }
}

/// Serves until it is told to stop.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Before it is read: what changes while we start is seen as a change.
    let read = worker::digest(&args.config);
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let place = match fleet::place(&config) {
        Ok(place) => place,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let hangup = reload::hangup()?;
    let publisher = Publisher::start(place.address, "tagmill ingest publishing".into(), place.topology);
    let mut reloader = Reloader::new(args.config.clone(), config, read, (hangup, args.watch_config));
    let server =
        match Server::start(reloader.config(), publisher.clone(), is_ready(&publisher), Arc::new(Vec::new), args.drain)
            .await
        {
            Ok(server) => server,
            Err(error) => return Ok(exit::because(exit::CONFIG, format!("{}: {error}", args.config.display()))),
        };
    reloader.count_for(&server);
    let notify = Notify::from_environment();
    notify.ready();
    let mut alive = tokio::time::interval(notify.alive_every().unwrap_or(Duration::from_hours(1)));
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = reloader.is_due() => {
                let take_over = |config: &config::Config| {
                    server.can_follow(config)?;
                    tracing::info!("the config has been taken over: its lanes, rules and tokens");
                    Ok(())
                };
                reloader.reload(Some(&notify), take_over).await;
            }
            _ = alive.tick() => notify.alive(),
        }
    }
    notify.stopping();
    tracing::info!(within = ?args.drain, "stopping: requests on their way are answered (again to leave at once)");
    tokio::select! {
        () = server.stop() => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        _ = interrupt.recv() => Ok(ExitCode::from(exit::INTERRUPTED)),
        _ = terminate.recv() => Ok(ExitCode::from(exit::INTERRUPTED)),
    }
}

/// It can do its work while the broker takes messages.
fn is_ready(publisher: &Publisher) -> IsReady {
    let (state, started) = (publisher.state(), AtomicBool::new(false));
    Arc::new(move || {
        let (ready, text) = match &*state.borrow() {
            LinkState::Up => (true, "ready"),
            LinkState::Blocked(_) => (false, "the broker takes no messages for now"),
            LinkState::Lost(_) => (false, "no connection to the broker"),
        };
        let started = started.fetch_or(ready, Ordering::Relaxed) || ready;
        Ready { ready, started, text: text.to_owned() }
    })
}
