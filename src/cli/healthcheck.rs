//! `tagmill healthcheck`: whether a worker or an ingest on this machine is well, for containers without a shell.

use super::exit;
use crate::{config, server};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

/// Ask a worker or an ingest on this machine how it is: exit 0 when it is well, 1 when it is not.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file: its `server.listen` says where to ask
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Ask here and not where the config says, such as http://127.0.0.1:9464/readyz
    #[arg(long)]
    url: Option<String>,
    /// Whether it can do its work (ready), or only whether it lives (live)
    #[arg(long, value_enum, default_value_t)]
    probe: Probe,
    /// How long it may take to answer
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = config::duration)]
    timeout: Duration,
}

/// What is asked.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Probe {
    /// Whether it can do its work
    #[default]
    Ready,
    /// Whether it lives
    Live,
}

/// Asks once.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let url = match args.url {
        Some(url) => url,
        None => match config::load(&args.config) {
            Ok(config) => {
                let path = match args.probe {
                    Probe::Ready => "readyz",
                    Probe::Live => "livez",
                };
                format!("http://{}/{path}", near(server::settings(&config).listen))
            }
            Err(error) => return Ok(exit::because(exit::CONFIG, error)),
        },
    };
    let client = reqwest::Client::builder().timeout(args.timeout).no_proxy().build()?;
    match client.get(&url).send().await {
        Ok(reply) if reply.status().is_success() => Ok(ExitCode::SUCCESS),
        Ok(reply) => {
            let status = reply.status().as_u16();
            let text = reply.text().await.unwrap_or_default();
            let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let why = told.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
            Ok(exit::because(1, format!("{url}: {status} {why}")))
        }
        Err(error) => Ok(exit::because(1, format!("{url}: {}", error.without_url()))),
    }
}

/// Where this machine reaches what listens on every address.
fn near(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
        _ => listen,
    }
}
