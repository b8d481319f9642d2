//! The ledger of a batch, or of one job. Each line adds up: accepted = tagged + unchanged + dead + pending.

use crate::{
    broker::rabbitmq::{
        Tally,
        batch::{Begun, Sent, Share},
        tally::Sums,
    },
    cli::{
        exit,
        report::{self, Cell, Output, Table},
    },
    job::Receipt,
};
use anyhow::Context as _;
use serde::Serialize;
use std::collections::BTreeSet;

/// What became of a batch so far.
#[derive(Debug)]
pub struct Ledger<'l> {
    pub batch: &'l str,
    pub tally: &'l Tally,
    pub interrupted: bool,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Figures {
    accepted: u64,
    tagged: u64,
    superseded: u64,
    unchanged: u64,
    dead: u64,
    pending: u64,
    jobs: u64,
    /// Jobs without a receipt.
    jobs_pending: u64,
    /// Calls summed over jobs: a call with items of three jobs counts three times, so this is no count of requests.
    job_calls: u64,
    job_retries: u64,
}

#[derive(Serialize)]
struct Line {
    /// Null for rows that were no jobs.
    name: Option<String>,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct Document<'l> {
    batch: &'l str,
    #[serde(flatten)]
    figures: Figures,
    /// From the start of the submission to the last final item.
    elapsed_seconds: f64,
    interrupted: bool,
    lanes: Vec<Line>,
}

impl Figures {
    fn of(share: Share, sums: &Sums) -> Self {
        // A job with this batch's name that somebody else published is accepted work too.
        let (accepted, jobs) = (share.items.max(sums.done), share.jobs.max(sums.jobs));
        Self {
            accepted,
            tagged: sums.tagged,
            superseded: sums.superseded,
            unchanged: sums.unchanged,
            dead: sums.dead,
            pending: accepted - sums.done,
            jobs,
            jobs_pending: jobs - sums.jobs,
            job_calls: sums.job_calls,
            job_retries: sums.job_retries,
        }
    }

    /// Rows that were no jobs: dead once they are with the dead letters.
    fn bad(all: Sent, sent: Sent) -> Self {
        let accepted = all.bad.max(sent.bad);
        Self { accepted, dead: sent.bad, pending: accepted - sent.bad, ..Self::default() }
    }

    fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.tagged += other.tagged;
        self.superseded += other.superseded;
        self.unchanged += other.unchanged;
        self.dead += other.dead;
        self.pending += other.pending;
        self.jobs += other.jobs;
        self.jobs_pending += other.jobs_pending;
        self.job_calls += other.job_calls;
        self.job_retries += other.job_retries;
    }
}

impl Ledger<'_> {
    fn lines(&self) -> Vec<Line> {
        let begun = self.tally.begun();
        let planned = begun.into_iter().flat_map(|begun| begun.lanes.keys());
        let names: BTreeSet<_> = planned.chain(self.tally.lanes().keys()).collect();
        let share = |name| begun.and_then(|begun| begun.lanes.get(name)).copied().unwrap_or_default();
        let sums = |name| self.tally.lanes().get(name).copied().unwrap_or_default();
        let bad = Figures::bad(begun.map(|begun| begun.all).unwrap_or_default(), self.tally.sent());
        let rows = (bad.accepted > 0).then_some(Line { name: None, figures: bad });
        let lanes = names
            .into_iter()
            .map(|name| Line { name: Some(name.as_str().to_owned()), figures: Figures::of(share(name), &sums(name)) });
        rows.into_iter().chain(lanes).collect()
    }

    fn sum(&self) -> Figures {
        self.lines().iter().fold(Figures::default(), |mut sum, line| {
            sum.add(&line.figures);
            sum
        })
    }

    fn elapsed(&self) -> f64 {
        let seconds = |begun: &Begun| Some(self.tally.last()?.duration_since(begun.created_at).as_secs_f64());
        // Two clocks are in this.
        self.tally.begun().and_then(seconds).map_or(0.0, |seconds| (seconds.max(0.0) * 1000.0).round() / 1000.0)
    }

    /// Prints it on stdout, and what there is to do on stderr.
    pub fn print(&self, output: Output) -> anyhow::Result<()> {
        let (sum, lines) = (self.sum(), self.lines());
        match output {
            Output::Table => table(&lines, &sum, self.elapsed()).print(),
            Output::Json | Output::Ndjson => report::print_json(&Document {
                batch: self.batch,
                figures: sum,
                elapsed_seconds: self.elapsed(),
                interrupted: self.interrupted,
                lanes: lines,
            }),
        }
        .context("writing to stdout")?;
        tell(&sum);
        Ok(())
    }

    /// How it ended, as a number.
    pub fn code(&self) -> u8 {
        match self.sum() {
            _ if self.interrupted => exit::INTERRUPTED,
            Figures { dead: 0, .. } => 0,
            _ => exit::DEAD,
        }
    }
}

fn table(lines: &[Line], sum: &Figures, elapsed: f64) -> Table {
    let mut table = Table::new(&["lane", "jobs", "accepted", "tagged", "unchanged", "dead", "pending"]);
    let row = |name: &str, figures: &Figures| {
        let Figures { jobs, accepted, tagged, unchanged, dead, pending, .. } = *figures;
        let numbers = [jobs, accepted, tagged, unchanged, dead, pending].map(Cell::number);
        [Cell::text(name)].into_iter().chain(numbers).collect()
    };
    for line in lines {
        table.row(row(line.name.as_deref().unwrap_or("(no lane)"), &line.figures));
    }
    table.rule();
    table.row(row(&format!("total in {}", report::seconds(elapsed)), sum));
    table
}

fn tell(sum: &Figures) {
    if sum.dead > 0 {
        let dead = report::thousands(sum.dead);
        eprintln!("{dead} dead: `tagmill dlq list` shows why, `tagmill dlq replay` sends them again");
    }
    if sum.pending > 0 {
        eprintln!("{} pending", report::count(sum.pending, "item"));
    }
}

/// The ledger of one job. The number is the exit code.
pub fn of_job(receipt: &Receipt, output: Output) -> anyhow::Result<u8> {
    match output {
        Output::Table => {
            let figures = Figures {
                accepted: receipt.accepted,
                tagged: receipt.tagged,
                unchanged: receipt.unchanged,
                dead: receipt.dead,
                jobs: 1,
                ..Figures::default()
            };
            let elapsed =
                receipt.first_attempt.map_or(0.0, |first| receipt.finished_at.duration_since(first).as_secs_f64());
            table(&[Line { name: Some(receipt.lane.as_str().to_owned()), figures }], &figures, elapsed).print()?;
        }
        // The receipt is the document that there is for one job.
        Output::Json | Output::Ndjson => report::print_json(receipt)?,
    }
    tell(&Figures { dead: receipt.dead, ..Figures::default() });
    Ok(if receipt.dead > 0 { exit::DEAD } else { 0 })
}
