//! Cancelling in a fleet: an order that every worker follows, the ones that come later too.

use super::{Args, confirmed};
use crate::{
    broker::{BrokerError, CancelOrder, rabbitmq::orders},
    cli::{exit, pause::unknown, report},
    config::Config,
    fleet::{self, Desk, look::known},
    job::LaneName,
    worker::clock,
};
use std::process::ExitCode;

pub(super) async fn run(args: &Args, config: &Config) -> anyhow::Result<ExitCode> {
    if args.lane.is_none() && args.job.is_none() && args.batch.is_none() && !args.all_lanes {
        let why = "say what: --lane, --job or --batch; --all-lanes cancels all that waits in the whole fleet";
        return Ok(exit::because(2, why));
    }
    let broker = match fleet::broker(config) {
        Ok(broker) => broker,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let desk = match Desk::open(broker, "cancel").await {
        Ok(desk) => desk,
        Err(error) => return Ok(exit::because(exit::of_desk(&error), error)),
    };
    let in_config: Vec<LaneName> = config.lanes.iter().map(|lane| lane.name.clone()).collect();
    let done = order(args, &desk, &in_config).await;
    desk.close().await;
    match done {
        Err(error) if error.is::<BrokerError>() => Ok(exit::because(exit::UNAVAILABLE, error)),
        done => done,
    }
}

async fn order(args: &Args, desk: &Desk, in_config: &[LaneName]) -> anyhow::Result<ExitCode> {
    let (all, _) = known(&desk.link, in_config).await?;
    if let Some(text) = unknown(args.lane.as_slice(), &all) {
        return Ok(exit::because(2, text));
    }
    let what = what(args);
    if !args.yes && !confirmed(&format!("Cancel {what} that has not been sent?"))? {
        return Ok(exit::because(2, "nothing was cancelled; give --yes to cancel without being asked"));
    }
    let now = clock::wall();
    let (lane, job, batch) = (args.lane.clone(), args.job.clone(), args.batch.clone());
    let order = CancelOrder { lane, job, batch, at: now };
    let publisher = desk.publisher();
    orders::change(&desk.link, &publisher, now, |orders| orders.cancelled.push(order)).await?;
    eprintln!("ordered: {what} that has not been sent becomes dead letters with the code `cancelled`, as fast as the");
    eprintln!("lanes come to it; calls on their way are finished. `tagmill dlq list --code cancelled` shows them.");
    if args.job.is_some() || args.batch.is_some() {
        eprintln!("The order holds for thirty days, for what is still to come too; a replay is new work.");
    } else {
        eprintln!("It is about what was made until now; what is submitted from here on is done.");
    }
    Ok(ExitCode::SUCCESS)
}

/// What is meant, in words.
fn what(args: &Args) -> String {
    let mut what = match &args.job {
        Some(job) => format!("everything of job {job}"),
        None => "everything".to_owned(),
    };
    if let Some(batch) = &args.batch {
        what = format!("{what} of batch {}", report::plain(batch));
    }
    match &args.lane {
        Some(lane) => format!("{what} in lane {lane}"),
        None => format!("{what} in all lanes"),
    }
}
