//! `tagmill status`: the lanes of a fleet, their workers, and what waits where. From the broker without its management
//! plugin, or from the HTTP API.

mod remote;
mod render;

use super::{exit, report};
use crate::{
    broker::{BrokerError, rabbitmq::control::Asker},
    config::{self, LaneConfig},
    event::LaneFacts,
    fleet::{self, Desk, eta::Pace, look},
    worker::clock,
};
use serde_json::Value;
use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// Wait between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// To the top left of the screen, and clear what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Show the lanes of a fleet, their workers, and what waits where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: report::Output,
    /// Look again every two seconds
    #[arg(long, short)]
    watch: bool,
    #[command(flatten)]
    source: remote::Source,
}

/// Looks once, or again and again.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.source.remote() {
        Ok(Some(remote)) => return of_server(&args, &remote).await,
        Ok(None) => {}
        Err(error) => return Ok(exit::because(exit::CONFIG, format!("{error:#}"))),
    }
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let broker = match fleet::broker(&config) {
        Ok(broker) => broker,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let desk = match Desk::open(broker, "status").await {
        Ok(desk) => desk,
        Err(error) => return Ok(exit::because(exit::of_desk(&error), error)),
    };
    let lanes: Vec<LaneFacts> = config.lanes.iter().map(LaneConfig::facts).collect();
    let shown = show(&args, &desk, &lanes).await;
    desk.close().await;
    match shown {
        Err(error) if error.is::<BrokerError>() => Ok(exit::because(exit::UNAVAILABLE, error)),
        // `| head` has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        shown => shown.map(|()| ExitCode::SUCCESS),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn of_server(args: &Args, remote: &remote::Remote) -> anyhow::Result<ExitCode> {
    loop {
        let fleet = match remote.look().await {
            Ok(fleet) => fleet,
            Err(error) => return Ok(exit::because(exit::UNAVAILABLE, format!("{error:#}"))),
        };
        match print(args, &fleet) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            printed => printed?,
        }
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn print(args: &Args, fleet: &Value) -> io::Result<()> {
    let on_a_screen = args.watch && io::stdout().is_terminal();
    let text = render::text(fleet, args.output, clock::wall());
    let mut out = io::stdout().lock();
    write!(out, "{}{text}", if on_a_screen { CLEAR } else { "" })?;
    out.flush()
}

async fn show(args: &Args, desk: &Desk, config: &[LaneFacts]) -> anyhow::Result<()> {
    let mut asker = Asker::new(&desk.link).await?;
    let (mut pace, since) = (Pace::default(), clock::monotonic());
    loop {
        let mut fleet = look::look(&desk.link, &mut asker, config).await?;
        pace.observe(&mut fleet, clock::monotonic().saturating_duration_since(since));
        print(args, &fleet.document())?;
        if let Some(why) = &fleet.no_orders {
            eprintln!("the standing orders are not known: {why}");
        }
        if !args.watch {
            break;
        }
        tokio::time::sleep(EVERY).await;
    }
    if let Some(asker) = asker {
        asker.close().await;
    }
    Ok(())
}
