//! `tagmill plan`: the calls that job files need, lane by lane, and how long they take. Sends nothing.

use super::{
    exit,
    files::{Bad, Found, Input, InputError, Reader},
    report::{Cell, Table},
};
use crate::{
    config::{self, LaneConfig},
    job::Job,
    plan::{Caps, Preview, preview},
    provider::Write,
    worker::{CAPACITY, caps},
};
use anyhow::Context as _;
use rustc_hash::{FxHashSet, FxHasher};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    path::PathBuf,
    process::ExitCode,
};

/// Errors told one by one; beyond that only counted.
const ERRORS_LISTED: usize = 1000;

/// Show the calls that job files need; nothing is sent, no credentials are needed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: Input,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: super::report::Output,
}

/// The plan of one lane, or of all.
#[derive(Clone, Debug, Default, Serialize)]
struct Figures {
    /// Items: one per resource of each job.
    items: u64,
    /// Distinct resources.
    resources: u64,
    /// Calls when everything is pending at once.
    calls: u64,
    /// Seconds at the configured rate.
    eta_seconds: f64,
}

#[derive(Serialize)]
struct LaneFigures<'a> {
    name: &'a str,
    provider: &'a str,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Serialize)]
struct Wrong {
    file: String,
    line: u64,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    total: Figures,
    lanes: Vec<LaneFigures<'a>>,
    /// The first ones; `error_count` is how many there are.
    errors: &'a [Wrong],
    error_count: u64,
}

/// What is gathered for one lane.
struct Lane<'a> {
    config: &'a LaneConfig,
    caps: Caps,
    /// Requests that one call takes.
    requests: u64,
    window: Preview,
    window_items: usize,
    seen: FxHashSet<u64>,
    figures: Figures,
}

impl Lane<'_> {
    fn add(&mut self, reader: &Reader, job: &Job) {
        let Some(provider) = reader.provider(&job.lane) else { return };
        for resource in &job.resources {
            let mut hasher = FxHasher::default();
            provider.resource_key(resource).hash(&mut hasher);
            self.seen.insert(hasher.finish());
        }
        let items = job.resources.len();
        if self.window_items > 0 && self.window_items + items > CAPACITY {
            self.close();
        }
        self.window_items += items;
        self.figures.items += items as u64;
        self.window.add(
            job.resources.iter(),
            job.set.iter(),
            job.unset.iter(),
            |resource| (provider.resource_key(resource), provider.share_key(resource)),
            |key| provider.fold_key(key).into_owned(),
        );
    }

    /// A lane holds so much at a time: what comes later is planned by itself.
    fn close(&mut self) {
        self.figures.calls += preview(&self.window) * self.requests;
        self.window = Preview::new(self.caps);
        self.window_items = 0;
    }

    fn finish(&mut self) {
        self.close();
        self.figures.resources = self.seen.len() as u64;
        let seconds = self.figures.calls as f64 / self.config.rate.per_second;
        self.figures.eta_seconds = (seconds * 10.0).round() / 10.0;
    }
}

/// Reads, plans, prints.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let reader = match Reader::new(&args.input, &config) {
        Ok(reader) => reader,
        Err(error) => return Ok(exit::because(exit::BAD_INPUT, error)),
    };
    let mut lanes = BTreeMap::new();
    for config in &config.lanes {
        let Some(provider) = reader.provider(&config.name) else { continue };
        let caps = caps(provider.limits());
        let window = Preview::new(caps);
        // What is replaced is read first.
        let requests = if provider.limits().write == Write::Replace { 2 } else { 1 };
        let (seen, figures) = (FxHashSet::default(), Figures::default());
        let lane = Lane { config, caps, requests, window, window_items: 0, seen, figures };
        lanes.insert(config.name.clone(), lane);
    }
    let mut errors = Vec::new();
    let mut error_count = 0_u64;
    let mut wrong = |file: String, line, code, message| {
        error_count += 1;
        if errors.len() < ERRORS_LISTED {
            errors.push(Wrong { file, line, code, message });
        }
    };
    let read = reader.each(|found| {
        match found {
            Found::Bad(Bad { file, line, code, message, .. }) => wrong(file, line, code, message),
            Found::Job { file, line, refused, .. } if !refused.is_empty() => {
                wrong(file, line, "invalid", refused.join("; "));
            }
            Found::Job { job, .. } => {
                if let Some(lane) = lanes.get_mut(&job.lane) {
                    lane.add(&reader, &job);
                }
            }
        }
        Ok::<(), InputError>(())
    });
    if let Err(error) = read {
        return Ok(exit::because(exit::BAD_INPUT, error));
    }
    let mut total = Figures::default();
    for lane in lanes.values_mut() {
        lane.finish();
        total.items += lane.figures.items;
        total.resources += lane.figures.resources;
        total.calls += lane.figures.calls;
        total.eta_seconds = total.eta_seconds.max(lane.figures.eta_seconds);
    }
    let lanes: Vec<LaneFigures<'_>> = lanes
        .values()
        .filter(|lane| lane.figures.items > 0)
        .map(|lane| LaneFigures {
            name: lane.config.name.as_str(),
            provider: lane.config.provider.name,
            figures: lane.figures.clone(),
        })
        .collect();
    let nothing = total.items == 0;
    match args.output {
        super::report::Output::Json | super::report::Output::Ndjson => {
            let document = Document { total, lanes, errors: &errors, error_count };
            super::report::print_json(&document).context("writing to stdout")?;
        }
        super::report::Output::Table => print(&lanes, &total)?,
    }
    for error in errors.iter().take(20) {
        eprintln!("{}:{}: {}: {}", error.file, error.line, error.code, super::report::plain(&error.message));
    }
    if error_count > 20 {
        eprintln!("and {} more rows with errors (--output json lists {ERRORS_LISTED})", error_count - 20);
    }
    let unknown = errors.iter().any(|error| error.code == "unknown_lane");
    Ok(ExitCode::from(match error_count {
        0 => 0,
        _ if nothing || unknown => exit::BAD_INPUT,
        _ => exit::DEAD,
    }))
}

fn print(lanes: &[LaneFigures<'_>], total: &Figures) -> anyhow::Result<()> {
    let row = |name: &str, provider: &str, figures: &Figures| {
        vec![
            Cell::text(name),
            Cell::text(provider),
            Cell::number(figures.items),
            Cell::number(figures.resources),
            Cell::number(figures.calls),
            Cell::right(super::report::seconds(figures.eta_seconds)),
        ]
    };
    let mut table = Table::new(&["lane", "provider", "items", "resources", "calls", "time at rate"]);
    for lane in lanes {
        table.row(row(lane.name, lane.provider, &lane.figures));
    }
    if lanes.len() > 1 {
        table.rule();
        table.row(row("total", "", total));
    }
    table.print().context("writing to stdout")
}
