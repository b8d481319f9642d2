//! `tagmill dlq`: look at dead letters, replay them, throw them away, take them elsewhere.

mod render;

use crate::{
    broker::{
        BrokerError,
        embedded::{DeadCount, DeadFilter, Embedded, Pick, RunId},
    },
    job::{JobId, LaneName},
    worker::clock,
};
use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use std::{
    io::{BufRead, IsTerminal, Write},
    path::PathBuf,
};

/// Done as asked.
pub const OK: u8 = 0;
/// Some of what was asked for is still dead.
pub const DEAD: u8 = 1;
/// The command cannot be carried out as it was written.
pub const USAGE: u8 = 2;
/// The state cannot be used.
pub const UNAVAILABLE: u8 = 69;

/// Rows of a table where `--limit` says nothing.
const TABLE_ROWS: u64 = 100;
/// Dead letters read at a time.
const PAGE: usize = 500;

/// Look at dead letters, replay them, discard them, export them.
#[derive(Args, Clone, Debug)]
pub struct Dlq {
    #[command(subcommand)]
    command: Command,
    /// Directory of the embedded queue (the config's `state` where left out)
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The config file: its `state` where --state is left out, and its lanes for `replay`
    #[arg(short, long, global = true, env = "TAGMILL_CONFIG", default_value = crate::config::DEFAULT_PATH)]
    config: PathBuf,
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = Output::Table)]
    output: Output,
}

impl Dlq {
    /// The config file.
    pub fn config(&self) -> &std::path::Path {
        &self.config
    }

    /// Where the queue is. Looking at dead letters needs no good config.
    fn state(&self) -> PathBuf {
        let configured = || crate::config::load(&self.config).map(|config| config.state);
        self.state.clone().unwrap_or_else(|| configured().unwrap_or_else(|_| "./tagmill-state".into()))
    }

    /// How the ledger of a replay is printed.
    pub fn run_output(&self) -> super::report::Output {
        match self.output {
            Output::Table => super::report::Output::Table,
            Output::Json => super::report::Output::Json,
            Output::Ndjson => super::report::Output::Ndjson,
        }
    }

    /// Whether the command sends anything, so that a config must be there before anything is taken out of the store.
    pub fn needs_lanes(&self) -> bool {
        matches!(&self.command, Command::Replay(act) if !act.dry_run)
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// One document
    Json,
    /// One document a line
    Ndjson,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// List dead letters, in the order in which their jobs arrived
    List(Select),
    /// Show one dead letter with all its failures
    Show {
        /// Id of the dead letter
        id: String,
    },
    /// Send the failed items again. They arrive as new work and overwrite newer values
    Replay(Act),
    /// Remove dead letters for good
    Discard(Act),
    /// Write dead letters to stdout, one JSON document a line
    Export(Select),
}

#[derive(Args, Clone, Debug, Default)]
struct Select {
    /// Only of this lane
    #[arg(long, value_parser = LaneName::new)]
    lane: Option<LaneName>,
    /// Only with a failure of this code
    #[arg(long)]
    code: Option<String>,
    /// Only of this job
    #[arg(long, value_name = "ID", value_parser = JobId::new)]
    job: Option<JobId>,
    /// Only recorded longer ago than this, such as 2h or 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    older_than: Option<SignedDuration>,
    /// Only recorded within this time, such as 30m
    #[arg(long, value_name = "AGE", value_parser = age)]
    newer_than: Option<SignedDuration>,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

#[derive(Args, Clone, Debug)]
struct Act {
    /// Ids of dead letters; without any, all that pass the filters
    #[arg(value_name = "ID", conflicts_with_all = ["lane", "code", "job", "older_than", "newer_than", "limit"])]
    ids: Vec<String>,
    #[command(flatten)]
    select: Select,
    /// Print how many it would be, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Select {
    fn filter(&self, now: Timestamp) -> DeadFilter {
        DeadFilter {
            lane: self.lane.clone(),
            code: self.code.clone(),
            job: self.job.clone(),
            // An age beyond the calendar passes everything, as `--newer-than`, or nothing.
            before: self.older_than.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            since: self.newer_than.map(|age| now.checked_sub(age).unwrap_or(Timestamp::MIN)),
            limit: self.limit,
        }
    }
}

/// An age: a number with `s`, `m`, `h`, `d` or `w`, or several of them up to hours (`1h 30m`).
fn age(text: &str) -> Result<SignedDuration, String> {
    let whole = |unit: char, hours: i64| {
        let count: i64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        SignedDuration::try_from_hours(count.checked_mul(hours)?)
    };
    let age = whole('d', 24).or_else(|| whole('w', 24 * 7)).or_else(|| text.parse().ok());
    age.filter(|age| !age.is_negative()).ok_or_else(|| "give an age such as 90s, 30m, 2h, 7d or 4w".to_owned())
}

/// What is left to do for the caller.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing: end with this code.
    Done(u8),
    /// The jobs are in the queue as a run of their own; the engine has to work it off and end it.
    Replayed(Embedded, RunId),
}

/// Where a command prints and whom it asks.
pub struct Console<'a> {
    /// Data.
    pub out: &'a mut (dyn Write + Send),
    /// Messages.
    pub err: &'a mut (dyn Write + Send),
    /// Somebody who can answer; none when stdin is no terminal.
    pub ask: Option<&'a mut (dyn BufRead + Send)>,
}

/// Runs the command on the process's own streams.
pub async fn run(args: Dlq) -> anyhow::Result<Outcome> {
    let mut stdin = std::io::BufReader::new(std::io::stdin());
    let ask: Option<&mut (dyn BufRead + Send)> = if std::io::stdin().is_terminal() { Some(&mut stdin) } else { None };
    let (mut out, mut err) = (std::io::BufWriter::new(std::io::stdout()), std::io::stderr());
    let done = run_on(args, Console { out: &mut out, err: &mut err, ask }).await;
    match done.and_then(|outcome| Ok(out.flush().map(|()| outcome)?)) {
        // `| head` has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(Outcome::Done(OK)),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Runs the command on these streams. An error is an error of the streams; everything else is told on `err`.
pub async fn run_on(args: Dlq, mut console: Console<'_>) -> anyhow::Result<Outcome> {
    let state = args.state();
    if !Embedded::is_in(&state) {
        let at = state.display();
        writeln!(console.err, "there is no queue in {at}: name its directory with --state")?;
        return Ok(Outcome::Done(UNAVAILABLE));
    }
    let done = match Embedded::open(&state) {
        Ok(queue) => carry_out(args, queue, &mut console).await,
        Err(error) => Err(error.into()),
    };
    match done {
        Err(error) if error.is::<BrokerError>() => {
            writeln!(console.err, "{error}")?;
            Ok(Outcome::Done(UNAVAILABLE))
        }
        other => other,
    }
}

async fn carry_out(args: Dlq, queue: Embedded, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let now = clock::wall();
    match args.command {
        Command::List(select) => list(&queue, &select.filter(now), args.output, now, console).await,
        Command::Show { id } => show(&queue, &id, args.output, console).await,
        Command::Export(select) => export(&queue, &select.filter(now), console).await,
        Command::Replay(act) => {
            let question = "Replay {}? They arrive as new work and overwrite newer values.";
            match settle(&queue, &act, question, args.output, now, console).await? {
                Settled::Go(pick) => replay(queue, pick, args.output, console).await,
                Settled::Stop(code) => Ok(Outcome::Done(code)),
            }
        }
        Command::Discard(act) => match settle(&queue, &act, "Discard {} for good?", args.output, now, console).await? {
            Settled::Go(pick) => {
                let done = queue.discard(pick).await?;
                render::done("discarded", &done, args.output, console)?;
                Ok(Outcome::Done(OK))
            }
            Settled::Stop(code) => Ok(Outcome::Done(code)),
        },
    }
}

async fn list(
    queue: &Embedded,
    filter: &DeadFilter,
    output: Output,
    now: Timestamp,
    console: &mut Console<'_>,
) -> anyhow::Result<Outcome> {
    let limit = filter.limit.unwrap_or(if output == Output::Table { TABLE_ROWS } else { u64::MAX });
    let mut table = render::Listing::new(output, now);
    let (mut after, mut left) = (None, limit);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = queue.dead_letters(filter.clone(), after, most).await?;
        left -= page.found.len() as u64;
        table.rows(&page.found, console.out)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    table.end(console.out)?;
    if output == Output::Table {
        let all = queue.count_dead(DeadFilter { limit: None, ..filter.clone() }).await?;
        let shown = limit - left;
        if shown < all.letters {
            writeln!(console.err, "{shown} of {}: --limit shows more", render::count(all))?;
        } else {
            writeln!(console.err, "{}", render::count(all))?;
        }
    }
    Ok(Outcome::Done(OK))
}

async fn show(queue: &Embedded, id: &str, output: Output, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let Some(dead) = queue.dead_letter(id).await? else {
        writeln!(console.err, "there is no dead letter {}", render::clean(id))?;
        return Ok(Outcome::Done(USAGE));
    };
    render::show(&dead, output, console.out)?;
    Ok(Outcome::Done(OK))
}

async fn export(queue: &Embedded, filter: &DeadFilter, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let (mut after, mut left) = (None, filter.limit.unwrap_or(u64::MAX));
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(PAGE).min(PAGE);
        let page = queue.dead_letters_in_full(filter.clone(), after, most).await?;
        left -= page.found.len() as u64;
        for dead in &page.found {
            render::line(&render::document(dead), console.out)?;
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(Outcome::Done(OK))
}

/// Whether the command may go on with what was picked, or ends here.
enum Settled {
    Go(Pick),
    Stop(u8),
}

/// Counts what was picked and asks.
async fn settle(
    queue: &Embedded,
    act: &Act,
    question: &str,
    output: Output,
    now: Timestamp,
    console: &mut Console<'_>,
) -> anyhow::Result<Settled> {
    let filter = act.select.filter(now);
    let (pick, count) = if act.ids.is_empty() {
        let count = queue.count_dead(filter.clone()).await?;
        (Pick::Matching(filter), count)
    } else {
        let mut count = DeadCount::default();
        for id in &act.ids {
            let Some(dead) = queue.dead_letter(id).await? else {
                writeln!(console.err, "there is no dead letter {}", render::clean(id))?;
                return Ok(Settled::Stop(USAGE));
            };
            count.letters += 1;
            count.items += dead.entry.items;
            count.raw += u64::from(dead.entry.raw);
        }
        (Pick::Ids(act.ids.clone()), count)
    };
    if act.dry_run {
        render::dry_run(count, output, console.out)?;
        return Ok(Settled::Stop(OK));
    }
    if count.letters == 0 {
        writeln!(console.err, "no dead letter passes the filters")?;
        return Ok(Settled::Stop(OK));
    }
    if act.yes {
        return Ok(Settled::Go(pick));
    }
    let question = question.replace("{}", &render::count(count));
    let Some(ask) = &mut console.ask else {
        writeln!(console.err, "{question} Nobody can be asked here: add --yes")?;
        return Ok(Settled::Stop(USAGE));
    };
    write!(console.err, "{question} [y/N] ")?;
    console.err.flush()?;
    let mut answer = String::new();
    ask.read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(Settled::Go(pick));
    }
    writeln!(console.err, "nothing was changed")?;
    Ok(Settled::Stop(OK))
}

async fn replay(queue: Embedded, pick: Pick, output: Output, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let run = queue.begin_run(&format!("replay:{}", clock::nonce()), "dlq replay").await?.id;
    let done = queue.replay(pick, run).await?;
    queue.seal(run).await?;
    // What becomes of the jobs is the document; where there are none, that is.
    let output = if done.letters == 0 { output } else { Output::Table };
    render::done("replayed as new work", &done, output, console)?;
    if done.raw > 0 {
        writeln!(console.err, "{} cannot be replayed, they are no jobs: see dlq export", done.raw)?;
    }
    if done.letters == 0 {
        queue.end_run(run).await?;
        return Ok(Outcome::Done(if done.raw > 0 { DEAD } else { OK }));
    }
    Ok(Outcome::Replayed(queue, run))
}
