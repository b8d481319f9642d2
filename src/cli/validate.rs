//! `tagmill validate`: is this config right? Needs neither credentials nor network.

use super::report::{self, Cell, Output, Table};
use crate::config::{self, Config, Expansion};
use anyhow::Context as _;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// EX_CONFIG of sysexits.
const BAD_CONFIG: u8 = 78;
/// Lanes of an expansion that are named without `--list`.
const NAMED: usize = 3;

/// Check the config file and tell everything that is wrong with it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The config file.
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Let a warning fail the check.
    #[arg(long)]
    deny_warnings: bool,
    /// List every lane on stdout.
    #[arg(long)]
    list: bool,
    /// How to print the list.
    #[arg(long, value_enum, default_value_t, requires = "list")]
    output: Output,
}

#[derive(Serialize)]
struct Lane<'c> {
    name: &'c str,
    provider: &'c str,
    region: &'c str,
    endpoint: Option<&'c str>,
}

/// Says on stderr what is wrong; the exit code is the answer.
#[allow(clippy::needless_pass_by_value, reason = "every command takes its arguments alike")]
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::from(BAD_CONFIG));
        }
    };
    for warning in &config.warnings {
        eprintln!("{}: warning: {warning}", args.config.display());
    }
    for expansion in &config.expansions {
        eprintln!("{}: {}", args.config.display(), told(expansion, &config));
    }
    if args.list {
        list(&config, args.output).context("writing to stdout")?;
    }
    let lanes = report::count(config.lanes.len() as u64, "lane");
    let warnings = config.warnings.len();
    if args.deny_warnings && warnings > 0 {
        eprintln!("{}: {lanes}, {warnings} to look at", args.config.display());
        return Ok(ExitCode::from(BAD_CONFIG));
    }
    eprintln!("{}: fine, {lanes}", args.config.display());
    Ok(ExitCode::SUCCESS)
}

/// `line 3: 500 account x 17 region = 8,500 lanes: aws-1-eu, aws-1-us, aws-2-eu, ... (--list names all)`.
fn told(expansion: &Expansion, config: &Config) -> String {
    let line = expansion.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    let lists: Vec<String> =
        expansion.lists.iter().map(|(name, values)| format!("{} {name}", report::thousands(*values as u64))).collect();
    let less = match expansion.excluded {
        0 => String::new(),
        some => format!(" - {} excluded", report::thousands(some as u64)),
    };
    let lanes = config.lanes.iter().skip(expansion.first).take(expansion.lanes);
    let names: Vec<&str> = lanes.take(NAMED).map(|lane| lane.name.as_str()).collect();
    let more = if expansion.lanes > names.len() { ", ... (--list names all)" } else { "" };
    let count = report::count(expansion.lanes as u64, "lane");
    format!("{line}{}{less} = {count}: {}{more}", lists.join(" x "), names.join(", "))
}

fn list(config: &Config, output: Output) -> std::io::Result<()> {
    let lanes = config.lanes.iter().map(|lane| Lane {
        name: lane.name.as_str(),
        provider: lane.provider.name,
        region: &lane.settings.region,
        endpoint: lane.settings.endpoint.as_deref(),
    });
    match output {
        Output::Table => {
            let mut table = Table::new(&["lane", "provider", "region", "endpoint"]);
            for lane in lanes {
                let endpoint = lane.endpoint.unwrap_or_default();
                table.row([lane.name, lane.provider, lane.region, endpoint].map(Cell::text).to_vec());
            }
            table.print()
        }
        Output::Json => report::print_json(&lanes.collect::<Vec<_>>()),
        Output::Ndjson => lanes.into_iter().try_for_each(|lane| report::print_json(&lane)),
    }
}
