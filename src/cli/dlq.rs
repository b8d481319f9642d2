//! `tagmill dlq`: look at dead letters, replay them, throw them away, take them elsewhere.

mod render;
mod select;
mod store;

use super::exit;
use crate::{
    broker::{
        BrokerError, DeadFilter, Pick,
        embedded::{Embedded, RunId},
        rabbitmq::dead::Replay,
    },
    config,
    fleet::{Dead, Desk},
    worker::clock,
};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use select::{Act, Select};
use std::{
    io::{BufRead, IsTerminal, Write},
    path::PathBuf,
};
use store::Store;

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

/// Look at dead letters, replay them, discard them, export them.
#[derive(Args, Clone, Debug)]
pub struct Dlq {
    #[command(subcommand)]
    command: Command,
    /// Directory of an embedded queue; where left out, the config's `broker`, or its `state` if it has none
    #[arg(long, global = true, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The config file: its `broker` or `state` where --state is left out, and its lanes for `replay`
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

    /// Where the dead letters are. Looking at those of an embedded queue needs no good config.
    fn place(&self) -> Place {
        if let Some(state) = &self.state {
            return Place::State(state.clone());
        }
        let usual = PathBuf::from("./tagmill-state");
        match config::load(&self.config) {
            Ok(config::Config { broker: Some(broker), .. }) => Place::Broker(broker),
            Ok(config) => Place::State(config.state),
            Err(error) if self.config.exists() && !Embedded::is_in(&usual) => Place::Unknown(error.to_string()),
            Err(_) => Place::State(usual),
        }
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

/// Where dead letters are.
enum Place {
    State(PathBuf),
    Broker(config::Broker),
    /// The config does not tell, and why.
    Unknown(String),
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
    let now = clock::wall();
    let opened = match args.place() {
        Place::State(state) if !Embedded::is_in(&state) => {
            Err((UNAVAILABLE, format!("there is no queue in {}: name its directory with --state", state.display())))
        }
        Place::State(state) => {
            Embedded::open(&state).map(Store::Embedded).map_err(|error| (UNAVAILABLE, error.to_string()))
        }
        Place::Broker(broker) => match Desk::open(&broker, "dlq").await {
            Ok(desk) => match Dead::open(desk, now).await {
                Ok(fleet) => Ok(Store::Fleet(Box::new(fleet))),
                Err(error) => Err((UNAVAILABLE, error.to_string())),
            },
            Err(error) => Err((exit::of_desk(&error), error.to_string())),
        },
        Place::Unknown(why) => Err((exit::CONFIG, why)),
    };
    let store = match opened {
        Ok(store) => store,
        Err((code, why)) => {
            writeln!(console.err, "{why}")?;
            return Ok(Outcome::Done(code));
        }
    };
    match carry_out(args, store, now, &mut console).await {
        Err(error) if error.is::<BrokerError>() => {
            writeln!(console.err, "{error}")?;
            Ok(Outcome::Done(UNAVAILABLE))
        }
        other => other,
    }
}

async fn carry_out(args: Dlq, store: Store, now: Timestamp, console: &mut Console<'_>) -> anyhow::Result<Outcome> {
    let output = args.output;
    let code = match args.command {
        Command::List(select) => list(&store, &select.filter(now), output, now, console).await?,
        Command::Show { id } => show(&store, &id, output, console).await?,
        Command::Export(select) => {
            let mut print = |dead: &_| Ok(render::line(&render::document(dead), console.out)?);
            store.letters(&select.filter(now), &mut print).await?;
            OK
        }
        Command::Replay(act) => {
            let question = "Replay {}? They arrive as new work and overwrite newer values.";
            match (settle(&store, &act, question, output, now, console).await?, store) {
                (Settled::Go(pick), Store::Embedded(queue)) => return replay(queue, pick, output, console).await,
                (Settled::Go(pick), Store::Fleet(fleet)) => {
                    let code = replayed(&fleet.replay(&pick).await?, output, console)?;
                    fleet.close().await;
                    return Ok(Outcome::Done(code));
                }
                (Settled::Stop(code), _) => return Ok(Outcome::Done(code)),
            }
        }
        Command::Discard(act) => match settle(&store, &act, "Discard {} for good?", output, now, console).await? {
            Settled::Go(pick) => {
                let done = store.discard(pick).await?;
                render::done("discarded", &done, output, console)?;
                OK
            }
            Settled::Stop(code) => code,
        },
    };
    if let Store::Fleet(fleet) = &store {
        if fleet.unseen() > 0 {
            let unseen = fleet.unseen();
            writeln!(console.err, "{unseen} more messages have no queue; a worker makes dead letters of them")?;
        }
        fleet.close().await;
    }
    Ok(Outcome::Done(code))
}

async fn list(
    store: &Store,
    filter: &DeadFilter,
    output: Output,
    now: Timestamp,
    console: &mut Console<'_>,
) -> anyhow::Result<u8> {
    let limit = filter.limit.unwrap_or(if output == Output::Table { TABLE_ROWS } else { u64::MAX });
    let mut table = render::Listing::new(output, now);
    let shown = store.entries(filter, limit, &mut |page| Ok(table.rows(page, console.out)?)).await?;
    table.end(console.out)?;
    if output == Output::Table {
        let all = Pick::Matching(DeadFilter { limit: None, ..filter.clone() });
        let all = store.count(&all).await?.unwrap_or_default();
        if shown < all.letters {
            writeln!(console.err, "{shown} of {}: --limit shows more", render::count(all))?;
        } else {
            writeln!(console.err, "{}", render::count(all))?;
        }
    }
    Ok(OK)
}

async fn show(store: &Store, id: &str, output: Output, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let Some(dead) = store.letter(id).await? else {
        writeln!(console.err, "there is no dead letter {}", render::clean(id))?;
        return Ok(USAGE);
    };
    render::show(&dead, output, console.out)?;
    Ok(OK)
}

/// Whether the command may go on with what was picked, or ends here.
enum Settled {
    Go(Pick),
    Stop(u8),
}

/// Counts what was picked and asks.
async fn settle(
    store: &Store,
    act: &Act,
    question: &str,
    output: Output,
    now: Timestamp,
    console: &mut Console<'_>,
) -> anyhow::Result<Settled> {
    let by_filter = act.ids.is_empty();
    let pick = if by_filter { Pick::Matching(act.select.filter(now)) } else { Pick::Ids(act.ids.clone()) };
    let count = match store.count(&pick).await? {
        Ok(count) => count,
        Err(id) => {
            writeln!(console.err, "there is no dead letter {}", render::clean(&id))?;
            return Ok(Settled::Stop(USAGE));
        }
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

/// Tells what a replay on the broker came to. Workers do the rest.
fn replayed(replay: &Replay, output: Output, console: &mut Console<'_>) -> anyhow::Result<u8> {
    render::sent(replay, output, console)?;
    if let Some(error) = &replay.broke_off {
        writeln!(console.err, "{error}\nit broke off; nothing is lost: run it again for what is still dead")?;
        return Ok(UNAVAILABLE);
    }
    Ok(if replay.left() > 0 { DEAD } else { OK })
}
