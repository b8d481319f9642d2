//! `tagmill submit`: job files to the lanes of a fleet, as one batch that can be gone on with and watched.

mod group;
mod plan;
mod send;

use super::{
    exit,
    files::{Input, Reader},
    interrupt::Interrupts,
    report::{self, Output},
    trace, watch,
};
use crate::{
    broker::{
        BrokerError,
        rabbitmq::{
            Batch, Gauge, Link, Publisher, Tally, Topology,
            batch::{Begun, Note, Sent, cancelled},
            orders,
            watch::browse,
        },
    },
    config,
    fleet::{self, Place},
    worker::clock,
};
use anyhow::Context as _;
use group::Identity;
use jiff::Timestamp;
use plan::Plan;
use send::{Early, Sending, say};
use std::{
    path::{Path, PathBuf},
    pin::pin,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// Longest name of a batch: the ids of its jobs begin with it and have 128 characters at most.
const NAME: usize = 96;
/// A process that has just gone may be there to the broker for that long.
const GOING: Duration = Duration::from_secs(3);
/// Between two looks whether it is.
const BETWEEN: Duration = Duration::from_millis(300);

/// Send what job files ask for to the workers of a fleet.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    input: Input,
    /// The config file
    #[arg(short, long, env = "TAGMILL_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Name of the batch; the same name with the same files goes on where an interrupted command stopped
    #[arg(long, value_name = "NAME", value_parser = name)]
    batch: Option<String>,
    /// Follow the batch to its end and print its ledger
    #[arg(long)]
    wait: bool,
    /// Keep the batch's queue when it was watched to its end
    #[arg(long, requires = "wait")]
    keep: bool,
    /// Show what would be sent; nothing is connected
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,
    /// Send nothing if a single row is bad
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Why the command ends.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) code: u8,
    pub(super) why: String,
}

impl From<BrokerError> for Stop {
    fn from(error: BrokerError) -> Self {
        Self { code: exit::UNAVAILABLE, why: error.to_string() }
    }
}

fn bad_input(why: String) -> Stop {
    Stop { code: exit::BAD_INPUT, why }
}

fn name(text: &str) -> Result<String, String> {
    if (1..=NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(format!("a batch has a name of 1 to {NAME} visible ASCII characters without spaces"))
    }
}

/// Looks at the files, sends, and follows if it shall.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let interrupts = Interrupts::listen("left; nothing was sent");
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let place = match (args.dry_run, fleet::place(&config)) {
        (true, _) => None,
        (false, Ok(place)) => Some(place),
        (false, Err(error)) => return Ok(exit::because(exit::CONFIG, error)),
    };
    let id = args.batch.clone().unwrap_or_else(clock::nonce);
    let looked = tokio::task::block_in_place(|| {
        let reader = Reader::new(&args.input, &config).map_err(|error| error.to_string())?;
        let plan = plan::look(&reader, &Identity::new(&id, now()), args.strict)?;
        Ok::<_, String>((reader, plan))
    });
    let (reader, plan) = match looked {
        Ok(looked) => looked,
        Err(why) => return Ok(exit::because(exit::BAD_INPUT, why)),
    };
    let Some(place) = place else {
        plan.print(args.output, None, 0).context("writing to stdout")?;
        return Ok(ExitCode::from(plan.code()));
    };
    let submit =
        Submit { args: &args, batch: Batch::new(&id, &place.names), reader: Arc::new(reader), plan, place, interrupts };
    match submit.run().await? {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(stop) => Ok(exit::because(stop.code, stop.why)),
    }
}

/// The time, as exactly as a job needs it.
fn now() -> Timestamp {
    let now = clock::wall();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

struct Submit<'a> {
    args: &'a Args,
    batch: Batch,
    reader: Arc<Reader>,
    plan: Plan,
    place: Place,
    interrupts: Interrupts,
}

impl Submit<'_> {
    async fn run(&self) -> anyhow::Result<Result<u8, Stop>> {
        let (link, sent) = match self.deliver().await {
            Ok(delivered) => delivered,
            Err(stop) => return Ok(Err(stop)),
        };
        link.close().await;
        let id = &self.batch.id;
        if self.plan.all.bad > 0 {
            eprintln!("{} went to the dead letters: `tagmill dlq list`", report::count(self.plan.all.bad, "bad row"));
        }
        if self.args.wait {
            let options = watch::Options { keep: self.args.keep, output: self.args.output, config: &self.args.config };
            return watch::follow(&self.place.address, &self.batch, &options, &self.interrupts).await;
        }
        eprintln!("`tagmill watch {id}{}` follows it", watch::config_option(&self.args.config));
        self.plan.print(self.args.output, Some(id), sent).context("writing to stdout")?;
        Ok(Ok(self.plan.code()))
    }

    /// Sends what was not sent before. The number is that of the jobs sent by this command.
    async fn deliver(&self) -> Result<(Link, u64), Stop> {
        let (id, all) = (&self.batch.id, self.plan.all);
        let link = Link::open(&self.place.address, &format!("tagmill submit {id}")).await?;
        self.place.topology.prepare(&link).await?;
        self.declare_lanes(&link).await?;
        let Some(lock) = self.batch.lock_submit(&link, GOING).await? else {
            let why = format!("batch {id} is being submitted by another process; it has to end first");
            return Err(Stop { code: exit::UNAVAILABLE, why });
        };
        self.is_not_cancelled(&link).await?;
        let before = self.history(&link).await?;
        self.is_the_same(&before)?;
        if before.complete().is_some() {
            let what = format!("{} with {}", report::count(all.jobs, "job"), report::count(all.items, "item"));
            eprintln!("batch {id} was sent to its end before ({what}); nothing is sent");
            lock.release().await;
            return Ok((link, 0));
        }
        let already = before.sent();
        if already.jobs > 0 {
            eprintln!("going on with batch {id}: {} were there already", report::count(already.jobs, "job"));
        } else {
            let again = watch::config_option(&self.args.config);
            eprintln!(
                "batch {id}: `tagmill watch {id}{again}` follows it; after a crash, the same command with --batch {id} goes on"
            );
        }
        let resume = format!("the same command with --batch {id} goes on");
        self.interrupts.gently(
            "stopping: waiting for what is on its way (again to leave at once)",
            &format!("left at once; {resume}"),
        );
        self.batch.declare(&link).await?;
        let publisher = {
            let Place { address, topology, .. } = self.place.clone();
            Publisher::start(address, format!("tagmill submit {id} publishing"), topology)
        };
        let begun = match before.begun() {
            Some(begun) => begun.clone(),
            None => self.begin(&publisher, &resume).await?,
        };
        let sending = Sending {
            reader: Arc::clone(&self.reader),
            identity: Identity::new(id, begun.created_at),
            batch: &self.batch,
            already,
            items: all.items,
            publisher: &publisher,
            address: &self.place.address,
            trace: trace::of_environment(),
            interrupts: &self.interrupts,
        };
        let outcome = sending.send().await;
        self.end(&publisher, outcome.early, outcome.sent, &resume).await?;
        let sent = all.jobs - already.jobs;
        let items = report::count(all.items - already.items, "item");
        match already.jobs {
            0 => eprintln!("batch {id}: {} with {items} sent", report::count(sent, "job")),
            there => {
                let there = report::count(there, "job");
                eprintln!("batch {id}: {there} were there already, {} with {items} sent", report::thousands(sent));
            }
        }
        lock.release().await;
        Ok((link, sent))
    }

    async fn declare_lanes(&self, link: &Link) -> Result<(), Stop> {
        let channel = link.channel().await?;
        for lane in self.plan.lanes.keys() {
            self.place.topology.lane(&channel, &self.place.names, lane).await.map_err(|error| Stop {
                code: exit::UNAVAILABLE,
                why: match self.place.topology {
                    Topology::Declare => format!("lane {lane}: {error}"),
                    Topology::Assert => format!(
                        "lane {lane}: {error}; start a worker that may declare it, or create it as a worker would"
                    ),
                },
            })?;
        }
        Ok(())
    }

    /// What an earlier command left in the batch's queue.
    async fn history(&self, link: &Link) -> Result<Tally, Stop> {
        let (batch, mut tally, mut gauge) = (&self.batch, Tally::default(), Gauge::new(link));
        if gauge.depth(batch.queue()).await?.is_none() {
            return Ok(tally);
        }
        let busy = || Stop {
            code: exit::UNAVAILABLE,
            why: format!(
                "batch {} is being watched by another process, which holds its notes: end that one first (Ctrl-C; \
                 nothing is lost by it)",
                batch.id
            ),
        };
        let lock = batch.lock_watch(link, GOING).await?.ok_or_else(busy)?;
        let end = Instant::now() + GOING;
        loop {
            // Whoever reads it by other means than ours is seen too, and what a reader held is back when it is gone.
            let is_free = gauge.depth(batch.queue()).await?.is_none_or(|found| found.consumers == 0);
            if is_free {
                let browsed = browse(link, batch.queue(), |read| tally.take(batch, &read)).await?;
                // Whoever looks next shall see all of it again.
                gauge.wait_for(batch.queue(), browsed.read, GOING).await?;
                if browsed.is_all && tally.begun().is_some() {
                    break;
                }
            }
            // Somebody may look at it without a consumer and hold the note that says when the batch began. Taking it for a
            // new one would send all of it again. A crash right after the queue was made leaves none: hence an end to this.
            if Instant::now() > end {
                if is_free {
                    break;
                }
                return Err(busy());
            }
            sleep(BETWEEN).await;
        }
        gauge.close().await;
        lock.release().await;
        Ok(tally)
    }

    /// A cancelled batch stays cancelled: every job of it would end as a dead letter.
    async fn is_not_cancelled(&self, link: &Link) -> Result<(), Stop> {
        let id = &self.batch.id;
        match cancelled(&orders::read(link).await?, id) {
            None => Ok(()),
            Some(at) => Err(bad_input(format!(
                "batch {id} was cancelled at {at}: workers would bury all of it; nothing was sent: submit these under \
                 another --batch"
            ))),
        }
    }

    /// A batch is one set of files, cut into the same jobs: otherwise nobody could say what was sent already.
    fn is_the_same(&self, before: &Tally) -> Result<(), Stop> {
        let Some(begun) = before.begun() else { return Ok(()) };
        let id = &self.batch.id;
        if begun.digest != self.reader.key {
            let (was, is) = (report::plain(&begun.files), &self.reader.label);
            return Err(bad_input(format!(
                "batch {id} was begun with other files or options ({was}) than these ({is}); nothing was sent: give these \
                 another --batch"
            )));
        }
        if begun.plan != self.plan.digest {
            return Err(bad_input(format!(
                "the same files make other jobs than when batch {id} was begun: the lanes of the config or tagmill itself \
                 have changed; nothing was sent: put the config back, or give them another --batch"
            )));
        }
        Ok(())
    }

    /// Notes what the batch is, before its first job.
    async fn begin(&self, publisher: &Publisher, resume: &str) -> Result<Begun, Stop> {
        let begun = Begun {
            batch: self.batch.id.clone(),
            files: self.reader.label.clone(),
            digest: self.reader.key.clone(),
            plan: self.plan.digest.clone(),
            created_at: now(),
            all: self.plan.all,
            lanes: self.plan.lanes.iter().map(|(lane, part)| (lane.clone(), part.share)).collect(),
        };
        self.note(publisher, &Note::Begun(begun.clone()), resume).await?;
        Ok(begun)
    }

    async fn note(&self, publisher: &Publisher, note: &Note, resume: &str) -> Result<(), Stop> {
        let mut publishing = pin!(publisher.publish(vec![self.batch.note(note)]));
        let mut state = publisher.state();
        let mut now = state.borrow_and_update().clone();
        loop {
            tokio::select! {
                noted = &mut publishing => return Ok(noted?),
                () = self.interrupts.asked() => {
                    return Err(Stop { code: exit::INTERRUPTED, why: resume.to_owned() });
                }
                Ok(()) = state.changed() => {
                    let before = std::mem::replace(&mut now, state.borrow_and_update().clone());
                    say(&before, &now);
                }
            }
        }
    }

    /// Says why the sending ended early, or notes that it did not.
    async fn end(&self, publisher: &Publisher, early: Option<Early>, sent: Sent, resume: &str) -> Result<(), Stop> {
        let (id, all) = (&self.batch.id, self.plan.all);
        let so_far =
            format!("{} of {} of batch {id} are sent", report::thousands(sent.jobs), report::count(all.jobs, "job"));
        match early {
            Some(Early::Interrupted) => {
                return Err(Stop { code: exit::INTERRUPTED, why: format!("{so_far}; {resume}") });
            }
            Some(Early::Refused(error)) => {
                return Err(Stop { code: exit::UNAVAILABLE, why: format!("{error}\n{so_far}; {resume}") });
            }
            Some(Early::Unreadable(error)) => return Err(bad_input(format!("{error}\n{so_far}; {resume}"))),
            None => {}
        }
        let changed = self.reader.changed().map(Path::to_path_buf);
        if changed.is_some() || sent != all {
            let file = changed.map_or_else(|| self.reader.label.clone(), |path| path.display().to_string());
            return Err(bad_input(format!(
                "{file}: changed while it was read; {so_far}, as the file was then. Submit what is missing under another \
                 --batch"
            )));
        }
        self.note(publisher, &Note::Complete(all), resume).await
    }
}
