//! `tagmill whoami`: which account each lane's credentials belong to, by the cloud's own word.

use super::{
    exit,
    report::{self, Cell, Output, Table},
};
use crate::{
    config::{self, LaneConfig},
    job::LaneName,
    worker::{Client, Identity, Keepers},
};
use anyhow::Context as _;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use tokio::{sync::Semaphore, task::JoinSet};

/// Lanes asked about at once.
const AT_ONCE: usize = 16;

/// Show which account each lane's credentials belong to. Asks the clouds, tags nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// This lane only (again for more)
    #[arg(long, value_name = "LANE", value_parser = LaneName::new)]
    lane: Vec<LaneName>,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// One lane and who it is.
#[derive(Serialize)]
struct Row<'l> {
    lane: &'l str,
    provider: &'l str,
    account: Option<&'l str>,
    principal: Option<&'l str>,
    found_in: Option<&'l str>,
    expires_at: Option<String>,
    error: Option<&'l str>,
}

impl<'l> Row<'l> {
    fn new(lane: &'l LaneConfig, answer: &'l Result<Identity, String>) -> Self {
        let identity = answer.as_ref().ok();
        Self {
            lane: lane.name.as_str(),
            provider: lane.provider.name,
            account: identity.map(|identity| identity.account.as_str()),
            principal: identity.and_then(|identity| identity.principal.as_deref()),
            found_in: identity.map(|identity| identity.place.as_str()),
            expires_at: identity.and_then(|identity| identity.expires_at).map(|end| end.to_string()),
            error: answer.as_ref().err().map(String::as_str),
        }
    }
}

/// Asks and prints. Ends with 69 when a lane is nobody.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    if let Some(lane) = args.lane.iter().find(|name| !config.lanes.iter().any(|lane| lane.name == **name)) {
        return Ok(exit::because(exit::BAD_INPUT, format!("--lane: there is no lane {lane}")));
    }
    let wanted = |lane: &LaneConfig| args.lane.is_empty() || args.lane.contains(&lane.name);
    let lanes: Vec<LaneConfig> = config.lanes.into_iter().filter(wanted).collect();
    let mut answers = ask(&lanes).await?;
    for (lane, answer) in lanes.iter().zip(&mut answers) {
        if let (Some(said), Ok(identity)) = (&lane.settings.account_id, &*answer)
            && *said != identity.account
        {
            *answer = Err(format!(
                "account_id says {said}, and the credentials from {} belong to {}",
                identity.place, identity.account
            ));
        }
    }
    let rows: Vec<Row<'_>> = lanes.iter().zip(&answers).map(|(lane, answer)| Row::new(lane, answer)).collect();
    print(&rows, args.output).context("writing to stdout")?;
    let mut nobody = 0_u64;
    for row in rows.iter().filter(|row| row.error.is_some()) {
        nobody += 1;
        eprintln!("lane {}: {}", row.lane, report::plain(row.error.unwrap_or_default()));
    }
    if nobody == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{} without credentials that work", report::count(nobody, "lane"));
    Ok(ExitCode::from(exit::UNAVAILABLE))
}

/// Asks for every lane; lanes that are the same somebody cause one question.
async fn ask(lanes: &[LaneConfig]) -> anyhow::Result<Vec<Result<Identity, String>>> {
    let client = Client::new().map_err(anyhow::Error::msg)?;
    let keepers = Keepers::new(client).map_err(anyhow::Error::msg)?;
    let gate = Arc::new(Semaphore::new(AT_ONCE));
    let mut asking = JoinSet::new();
    for group in keepers.alike(lanes) {
        let Some(lane) = group.first().and_then(|first| lanes.get(*first)).cloned() else { continue };
        let (keepers, gate) = (keepers.clone(), Arc::clone(&gate));
        asking.spawn(async move {
            // It is never closed.
            let _turn = gate.acquire().await;
            (group, keepers.whoami(&lane).await)
        });
    }
    let mut answers: Vec<_> = lanes.iter().map(|_| Err("nobody has answered".to_owned())).collect();
    for (group, answer) in asking.join_all().await {
        for number in group {
            if let Some(place) = answers.get_mut(number) {
                place.clone_from(&answer);
            }
        }
    }
    Ok(answers)
}

fn print(rows: &[Row<'_>], output: Output) -> std::io::Result<()> {
    match output {
        Output::Json => report::print_json(&rows),
        Output::Ndjson => rows.iter().try_for_each(report::print_json),
        Output::Table => {
            let mut table = Table::new(&["lane", "account", "principal", "expires", "found in"]);
            for row in rows {
                let missing = if row.error.is_some() { "(none)" } else { "-" };
                let cells = [
                    row.lane,
                    row.account.unwrap_or(missing),
                    row.principal.unwrap_or("-"),
                    row.expires_at.as_deref().unwrap_or("-"),
                    row.found_in.unwrap_or("-"),
                ];
                table.row(cells.map(Cell::text).to_vec());
            }
            table.print()
        }
    }
}
