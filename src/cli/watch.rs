//! `tagmill watch`: a batch or a job to its end, with a progress bar and a ledger. Nothing is taken out of any queue
//! before that end.

mod follow;
mod ledger;

pub(super) use follow::{Options, config_option, follow};

use super::{exit, interrupt::Interrupts, report::Output, submit::Stop};
use crate::{
    broker::rabbitmq::{
        Batch, Gauge, Link,
        watch::{HELD, Read, Tail, bind_job, browse},
    },
    config,
    fleet::{self, Place},
    job::{JobId, Receipt},
    worker::clock,
};
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// How long the receipt of a job is waited for that nobody said is a job.
const GUESS: Duration = Duration::from_secs(5);

/// Follow a batch, or one job, to its end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of a batch, or of a job
    #[arg(value_name = "BATCH|JOB")]
    name: String,
    /// It is a job: wait for its receipt, however long that takes
    #[arg(long)]
    job: bool,
    /// Keep the batch's queue at the end
    #[arg(long)]
    keep: bool,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Follows what the name names.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen("left");
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let place = match fleet::place(&config) {
        Ok(place) => place,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let outcome = match what(&place, &args).await {
        Ok(What::Batch(batch)) => {
            let options = Options { keep: args.keep, output: args.output, config: &args.config };
            follow(&place.address, &batch, &options, &interrupts).await?
        }
        Ok(What::Receipt(receipt)) => Ok(ledger::of_job(&receipt, args.output)?),
        Err(stop) => Err(stop),
    };
    match outcome {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(stop) => Ok(exit::because(stop.code, stop.why)),
    }
}

/// What a name names.
enum What {
    Batch(Box<Batch>),
    /// A job that is finished.
    Receipt(Box<Receipt>),
}

async fn what(place: &Place, args: &Args) -> Result<What, Stop> {
    let Place { address, topology, names } = place;
    let name = &args.name;
    let link = Link::open(address, &format!("tagmill watch {name}")).await?;
    let batch = Batch::new(name, names);
    let mut gauge = Gauge::new(&link);
    let is_batch = !args.job && gauge.depth(batch.queue()).await?.is_some();
    gauge.close().await;
    if is_batch {
        link.close().await;
        return Ok(What::Batch(Box::new(batch)));
    }
    let unknown = format!(
        "there is no batch {name}: nothing was submitted under that name in the last seven days, or it was watched to its end"
    );
    let Ok(job) = JobId::new(name) else { return Err(Stop { code: exit::BAD_INPUT, why: unknown }) };
    topology.prepare(&link).await?;
    // Bound first: a receipt that comes while the older ones are looked at is in one of the two.
    let queue = bind_job(&link, &job, &format!("watch.{}", clock::nonce())).await?;
    let mut found = None;
    let see = |read: Read| found = receipt_of(&job, &read.body).or(found.take());
    if !browse(&link, names.receipts(), see).await?.is_all {
        eprintln!("another consumer of {} holds some receipts; they could not be looked at", names.receipts());
    }
    if found.is_none() {
        let wait = if args.job { Duration::MAX } else { GUESS };
        if args.job {
            eprintln!("waiting for the receipt of job {job}");
        }
        let mut tail = Tail::open(&link, &queue, HELD).await?;
        let waiting = async {
            loop {
                if let Some(receipt) = receipt_of(&job, &tail.next().await?.body) {
                    return Ok::<_, Stop>(receipt);
                }
            }
        };
        let waited = tokio::time::timeout(wait, waiting).await;
        tail.close().await;
        found = waited.ok().transpose()?;
    }
    link.close().await;
    let why = || format!("{unknown}. No job {name} has a receipt either; with --job it is waited for");
    found.map(|receipt| What::Receipt(Box::new(receipt))).ok_or_else(|| Stop { code: exit::BAD_INPUT, why: why() })
}

fn receipt_of(job: &JobId, body: &[u8]) -> Option<Receipt> {
    serde_json::from_slice(body).ok().filter(|receipt: &Receipt| receipt.job == *job)
}
