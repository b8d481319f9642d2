//! `tagmill worker`: works for a fleet until it is told to stop.

use super::{
    exit,
    log::LogFormat,
    notify::Notify,
    reload::{self, Reloader},
};
use crate::{
    broker::rabbitmq::{Settings, Window},
    config::{self, Config, LaneConfig},
    fleet,
    job::LaneName,
    server::{IsReady, LanesNow, NoServer, Ready, Server},
    telemetry,
    worker::{self, Changes, Member, Readiness, Service, Waits, Worker},
};
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior},
};

/// Longest name of a worker: it is part of the name of a queue.
const LONGEST_NAME: usize = 100;

/// Work for a fleet: take jobs from the broker and tag, until told to stop.
///
/// SIGTERM or Ctrl-C: no new calls, those on their way are waited for, what is final is settled, the rest stays with the
/// broker. A second one leaves at once. Neither loses anything.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Serve this lane only (may be given several times); without it all lanes of the config
    #[arg(long = "lane", value_name = "LANE", value_parser = LaneName::new)]
    lanes: Vec<LaneName>,
    /// Name of this worker, unique in the fleet; the machine's name and the process number where left out. A name that
    /// stays the same over restarts keeps its lanes on RabbitMQ 4
    #[arg(long, value_name = "NAME", env = "TAGMILL_WORKER")]
    name: Option<String>,
    /// How long to wait for calls on their way when told to stop
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = config::duration)]
    drain: Duration,
    /// How often the config file is looked at for changes; 0s for never. SIGHUP reads it in any case
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

/// Serves lanes until it is told to stop.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    // Before it is read: what changes while we start is seen as a change.
    let read = worker::digest(&args.config);
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let path = args.config.display();
    let lanes = match chosen(&config, &args.lanes) {
        Ok(lanes) => lanes,
        Err(why) => return Ok(exit::because(exit::CONFIG, format!("{path}: {why}"))),
    };
    // From here on a signal is answered.
    let signals = Signals::listen()?;
    let hangup = reload::hangup()?;
    let settings = match settings(&args, &config, &lanes) {
        Ok(settings) => settings,
        Err(why) => return Ok(exit::because(exit::CONFIG, format!("{path}: {why}"))),
    };
    let name = settings.worker.clone();
    let heartbeat = Duration::from_secs(settings.address.heartbeat().into());
    let member = Member::join(settings, lanes.iter().map(|lane| lane.name.clone()).collect());
    let service = match Worker::serve(member.broker(), &lanes, member.publishing(), &Waits::default()) {
        Ok(service) => service,
        Err(why) => return Ok(exit::because(exit::CONFIG, format!("{path}: {why}"))),
    };
    tracing::info!(%name, lanes = lanes.len(), version = env!("CARGO_PKG_VERSION"), pid = std::process::id(), "working");
    let served = args.lanes.clone();
    let choose: Choose = Box::new(move |config: &Config| {
        let lanes = chosen(config, &served)?;
        fits(&lanes, heartbeat)?;
        Ok(lanes)
    });
    let reloader = Reloader::new(args.config.clone(), config, read, (hangup, args.watch_config));
    let server = match serve(reloader.config(), &member, &service, args.drain).await {
        Ok(server) => server,
        Err(why) => return Ok(exit::because(exit::CONFIG, format!("{path}: {why}"))),
    };
    if let Some(server) = &server {
        reloader.count_for(server);
    }
    Ok(ExitCode::from(until_stopped(service, member, server, (signals, reloader, choose), args.drain).await))
}

/// The HTTP interface, where the config wants one.
async fn serve(
    configs: watch::Receiver<Arc<Config>>,
    member: &Member,
    service: &Service,
    drain: Duration,
) -> Result<Option<Server>, NoServer> {
    let config = configs.borrow().clone();
    if config.server.is_none() && config.events.queues.is_empty() {
        return Ok(None);
    }
    let readiness = service.readiness();
    let is_ready: IsReady = Arc::new(move || {
        let now = readiness.borrow().clone();
        Ready::of(&now, now != Readiness::Starting)
    });
    // Lanes come and go with the config.
    let views = service.watch_views();
    let lanes_now: LanesNow = Arc::new(move || {
        let now = worker::clock::wall();
        views.borrow().iter().map(|view| view.borrow().now(now)).collect()
    });
    Server::start(configs, member.broker().publisher().clone(), is_ready, lanes_now, drain).await.map(Some)
}

/// The lanes to serve.
fn chosen(config: &Config, names: &[LaneName]) -> Result<Vec<LaneConfig>, String> {
    let unknown = names.iter().find(|name| config.lanes.iter().all(|lane| lane.name != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = config.lanes.iter().map(|lane| lane.name.as_str()).collect();
        return Err(format!("there is no lane {name}; there are {}", known.join(", ")));
    }
    let wanted = |lane: &&LaneConfig| names.is_empty() || names.contains(&lane.name);
    Ok(config.lanes.iter().filter(wanted).cloned().collect())
}

/// What the worker joins its fleet with.
fn settings(args: &Args, config: &Config, lanes: &[LaneConfig]) -> Result<Settings, String> {
    let place = fleet::place(config).map_err(|error| error.to_string())?;
    fits(lanes, Duration::from_secs(place.address.heartbeat().into()))?;
    let window = fleet::broker(config).map_err(|error| error.to_string())?.window;
    let messages = u16::try_from(window.messages).unwrap_or(u16::MAX);
    let name = args.name.clone().unwrap_or_else(|| format!("{}-{}", worker::host(), std::process::id()));
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("--name: a worker's name has 1 to {LONGEST_NAME} visible ASCII characters"));
    }
    Ok(Settings {
        names: place.names,
        topology: place.topology,
        window: Window { messages, bytes: u64::from(window.megabytes) * 1_000_000 },
        rates: lanes.iter().map(|lane| (lane.name.clone(), lane.rate.per_second)).collect(),
        ..Settings::new(place.address, &name)
    })
}

/// A worker that is cut off learns so after one heartbeat: a call must not last longer. The URL may ask for a short one.
fn fits(lanes: &[LaneConfig], heartbeat: Duration) -> Result<(), String> {
    match lanes.iter().find(|lane| lane.timeout >= heartbeat) {
        None => Ok(()),
        Some(lane) => Err(format!(
            "lane {}: timeout ({:?}) must be below the heartbeat in broker.url ({heartbeat:?})",
            lane.name, lane.timeout
        )),
    }
}

/// Which lanes of a config this worker serves, or why it cannot.
type Choose = Box<dyn Fn(&Config) -> Result<Vec<LaneConfig>, String> + Send>;

/// Takes over another config, all of it or nothing.
fn take_over(
    config: &Config,
    choose: &Choose,
    service: &mut Service,
    member: &Member,
    server: Option<&Server>,
) -> Result<(), String> {
    let lanes = choose(config)?;
    server.map_or(Ok(()), |server| server.can_follow(config))?;
    let changes = service.reload(&lanes).map_err(|error| error.to_string())?;
    member.serves(lanes.iter().map(|lane| lane.name.clone()).collect());
    let names = |lanes: &[LaneName]| lanes.iter().map(LaneName::as_str).collect::<Vec<_>>().join(", ");
    let Changes { added, removed, reopened, tuned } = changes;
    tracing::info!(
        added = names(&added),
        removed = names(&removed),
        reopened = names(&reopened),
        tuned = names(&tuned),
        "the config has been taken over; all other lanes went on without a break"
    );
    Ok(())
}

/// Ctrl-C and SIGTERM.
struct Signals(Signal, Signal);

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// Waits for a signal, then ends in good order, or at once. Returns the exit code.
async fn until_stopped(
    mut service: Service,
    mut member: Member,
    server: Option<Server>,
    (mut signals, mut reloader, choose): (Signals, Reloader, Choose),
    drain: Duration,
) -> u8 {
    let notify = Notify::from_environment();
    let mut readiness = service.readiness();
    let mut is_told = false;
    let mut look = every(Duration::from_secs(1));
    let mut alive = every(notify.alive_every().unwrap_or(Duration::from_hours(1)));
    loop {
        let lanes = service.views();
        tokio::select! {
            () = signals.next() => break,
            () = reloader.is_due() => {
                let take_over = |config: &Config| take_over(config, &choose, &mut service, &member, server.as_ref());
                reloader.reload(Some(&notify).filter(|_| is_told), take_over).await;
            }
            Ok(()) = readiness.changed() => notify.status(&readiness.borrow_and_update().to_string()),
            _ = look.tick() => service.tidy(),
            _ = alive.tick() => notify.alive(),
            () = member.answer(&lanes) => {}
        }
        // One lane that the broker refuses must not keep systemd from seeing the others at work.
        if !is_told && service.is_up() {
            is_told = true;
            notify.ready();
        }
    }
    let lanes = service.views();
    notify.stopping();
    tracing::info!(within = ?drain, "stopping: no new calls, those on their way are waited for (again to leave at once)");
    service.drain();
    // It goes on answering those who are there, while lanes end.
    let mut serving = JoinSet::new();
    if let Some(server) = server {
        serving.spawn(server.stop());
    }
    let deadline = Instant::now() + drain;
    loop {
        tokio::select! {
            () = service.ended() => {
                let _ = tokio::time::timeout_at(deadline, async { while serving.join_next().await.is_some() {} }).await;
                member.leave().await;
                tracing::info!("stopped: what is final is settled, the rest stays with the broker");
                return 0;
            }
            () = signals.next() => {
                tracing::warn!("left at once; nothing is lost: what is not settled goes back to the broker");
                return exit::INTERRUPTED;
            }
            () = tokio::time::sleep_until(deadline) => {
                let lanes: Vec<String> = service.unfinished().iter().map(ToString::to_string).collect();
                let lanes = lanes.join(", ");
                tracing::warn!(
                    %lanes, "left before all was settled, because the time to stop is over; nothing is lost: what is not \
                     settled goes back to the broker"
                );
                return 0;
            }
            _ = alive.tick() => notify.alive(),
            () = member.answer(&lanes) => {}
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period.max(Duration::from_millis(1)));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}
