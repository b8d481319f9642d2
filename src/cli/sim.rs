//! `tagmill sim`: simulated clouds on a local port, until interrupted.

use crate::sim::{Sim, SimConfig};
use anyhow::{Context as _, bail};
use serde_json::json;
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

/// Run simulated clouds on a local port, with faults of your choice.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Which clouds there are and what goes wrong in them (YAML). Without it: one account per provider, no faults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Allow an address that other machines can reach.
    #[arg(long)]
    allow_remote: bool,
    /// Also print where each cloud is on stdout, for scripts.
    #[arg(long, value_enum, value_name = "FORMAT")]
    output: Option<Output>,
}

/// What goes to stdout once the port is open.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Output {
    /// One line of JSON.
    Json,
}

/// Runs the clouds until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the configuration is wrong or the address is taken.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.listen.ip().is_loopback() && !args.allow_remote {
        bail!(
            "{} can be reached from other machines, and the simulator's keys are known to everybody: \
             listen on 127.0.0.1, or say --allow-remote",
            args.listen
        );
    }
    let config = match &args.config {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            SimConfig::parse(&text).with_context(|| format!("{}", path.display()))?
        }
        None => SimConfig::default(),
    };
    let sim = Sim::start(config, args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    for (name, api) in sim.clouds() {
        eprintln!("{name}: {} at {}", api.name(), sim.url());
    }
    if args.output.is_some() {
        let clouds: Vec<_> = sim.clouds().map(|(name, api)| json!({"name": name, "provider": api.name()})).collect();
        println!("{}", json!({"url": sim.url(), "clouds": clouds}));
    }
    interrupted().await?;
    sim.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            done = tokio::signal::ctrl_c() => done?,
            _ = terminate.recv() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn args(words: &[&str]) -> Args {
        Cli::try_parse_from([&["sim"], words].concat()).unwrap().args
    }

    #[tokio::test]
    async fn an_address_that_others_can_reach_needs_permission() {
        let problem = run(args(&["--listen", "0.0.0.0:0"])).await.unwrap_err().to_string();
        assert!(problem.contains("--allow-remote"), "{problem}");
        assert!(run(args(&["--listen", "[::]:0"])).await.is_err());
    }

    #[tokio::test]
    async fn a_wrong_configuration_is_reported_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clouds.yaml");
        std::fs::write(&path, "clouds: []").unwrap();
        let problem = run(args(&["--listen", "127.0.0.1:0", "--config", path.to_str().unwrap()])).await.unwrap_err();
        let text = format!("{problem:#}");
        assert!(text.contains("clouds.yaml") && text.contains("there is no cloud"), "{text}");
    }
}
