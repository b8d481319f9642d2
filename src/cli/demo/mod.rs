//! `tagmill demo`: the main job, start to end, in simulated clouds full of faults; then the ledger is checked against
//! what the clouds really hold.

mod check;
mod clouds;
mod workload;

use super::{apply, exit, files, report, run as runs};
use crate::{broker::embedded::Embedded, config, sim::Sim, worker::clock};
use anyhow::Context as _;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Tag resources in simulated clouds full of faults, and check the result.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many resources
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    resources: u32,
    /// Other faults and other tags
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Keep the state and the job file in this directory, to look at with `tagmill dlq`
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: report::Output,
}

/// Exit code 0: the ledger equals what the clouds hold, and only the planted poison is dead.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let scratch = Scratch::new(args.keep.clone())?;
    let outcome = play(&args, &scratch.dir).await;
    scratch.leave();
    outcome
}

async fn play(args: &Args, dir: &Path) -> anyhow::Result<ExitCode> {
    let workload = workload::Workload::new(args.resources, args.seed);
    let sim = Sim::start(clouds::config(&workload, args.seed), SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .context("the simulated clouds cannot listen on 127.0.0.1")?;
    let text = clouds::lanes(&sim.url(), dir);
    let path = dir.join(config::DEFAULT_PATH);
    std::fs::write(&path, &text).with_context(|| format!("{}: cannot be written", path.display()))?;
    let config = config::parse(&text, &path, [])?;
    let file = dir.join("servers.csv");
    std::fs::write(&file, workload.csv()).with_context(|| format!("{}: cannot be written", file.display()))?;
    eprintln!("{}", clouds::STORY);
    eprintln!(
        "{} resources in {}, {} of them planted to fail for good\n",
        report::thousands(u64::from(args.resources)),
        file.display(),
        workload.poison().count()
    );

    let input = files::Input { files: vec![file], lane: None, set: Vec::new(), unset: Vec::new(), format: None };
    let reader = files::Reader::new(&input, &config)?;
    let queue = Embedded::open(&config.state)?;
    let run = queue.begin_run(&reader.key, &reader.label).await?;
    apply::load(&reader, &queue, run).await?;
    queue.seal(run.id).await?;
    let ledger = runs::work_off(&queue, run.id, &config.lanes).await?;
    match args.output {
        report::Output::Table => ledger.table().print().context("writing to stdout")?,
        _ => ledger.print(args.output, "")?,
    }
    if ledger.ended.interrupted {
        return Ok(exit::because(exit::INTERRUPTED, "the demo was stopped; nothing is checked"));
    }
    let verdict = check::check(&workload, &sim, &queue, &ledger).await?;
    eprint!("{verdict}");
    sim.stop().await;
    Ok(ExitCode::from(if verdict.is_right() { 0 } else { exit::DEAD }))
}

/// The directory of a demo: thrown away at the end, or kept where the user wants it.
struct Scratch {
    dir: PathBuf,
    keep: bool,
}

impl Scratch {
    fn new(keep: Option<PathBuf>) -> anyhow::Result<Self> {
        let keep_it = keep.is_some();
        let dir = keep.unwrap_or_else(|| std::env::temp_dir().join(format!("tagmill-demo-{}", clock::nonce())));
        std::fs::create_dir_all(&dir).with_context(|| format!("{}: cannot be made", dir.display()))?;
        Ok(Self { dir, keep: keep_it })
    }

    fn leave(&self) {
        if self.keep {
            let at = self.dir.join(config::DEFAULT_PATH);
            eprintln!("kept: `tagmill dlq list --config {}` shows the dead letters", at.display());
        } else {
            // It is in the system's folder for temporary files: what cannot be removed now goes with that.
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
