//! Following a batch: its queue is read without acks, over and over if need be, until every job has answered.

use super::ledger::Ledger;
use crate::{
    broker::{
        BrokerError,
        rabbitmq::{
            Address, Batch, Depth, Gauge, Link, Lock, Tally,
            watch::{HELD, Tail},
        },
    },
    cli::{
        exit,
        interrupt::Interrupts,
        progress,
        report::{self, Output},
        submit::Stop,
    },
    config,
};
use anyhow::Context as _;
use indicatif::ProgressBar;
use std::{path::Path, time::Duration};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};

/// Messages are held for so long; then they are put back and read again. RabbitMQ takes a consumer away that holds one
/// for 30 minutes.
const RENEWED: Duration = Duration::from_mins(20);
/// When nothing comes for so long after the last receipt, no repeat of one comes either.
const QUIET: Duration = Duration::from_millis(200);
/// What is known to be in the queue comes faster than that, unless somebody else holds it.
const SILENT: Duration = Duration::from_secs(5);
/// How long a watch that is asked to end goes on reading what is there.
const LEAVING: Duration = Duration::from_secs(2);
/// A watcher that has just gone may be counted for that long.
const GOING: Duration = Duration::from_secs(3);
/// The same, when it is our own lost connection: the broker notices after three heartbeats.
const LOST: Duration = Duration::from_mins(1);
/// Between tries to connect again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether somebody still sends an incomplete batch.
const SENDER: Duration = Duration::from_mins(1);

/// What to do with a batch at its end.
#[derive(Clone, Copy, Debug)]
pub struct Options<'o> {
    /// Leave its queue.
    pub keep: bool,
    /// How to print the ledger.
    pub output: Output,
    /// The config, for the command that is told to the user.
    pub config: &'o Path,
}

/// The `--config` of a command that is told to the user, where it is needed.
pub fn config_option(config: &Path) -> String {
    let is_usual = config == Path::new(config::DEFAULT_PATH) || std::env::var_os("TAGMILL_CONFIG").is_some();
    if is_usual { String::new() } else { format!(" --config {}", config.display()) }
}

/// How one look at the queue ended.
enum Round {
    Done,
    Interrupted,
    /// Time to put everything back and read it again.
    Renew,
}

/// Follows a batch to its end, prints its ledger, removes its queue. The number is the exit code.
pub async fn follow(
    address: &Address,
    batch: &Batch,
    options: &Options<'_>,
    interrupts: &Interrupts,
) -> anyhow::Result<Result<u8, Stop>> {
    let again = format!("`tagmill watch {}{}` goes on", batch.id, config_option(options.config));
    interrupts.gently("stopping (again to leave at once)", &format!("left at once; nothing is lost, {again}"));
    let bar = progress::bar(0);
    let mut following = Following { address, batch, interrupts, bar: &bar, tally: Tally::default(), look_at: None };
    let outcome = following.run().await;
    bar.finish_and_clear();
    let tally = following.tally;
    let interrupted = match outcome {
        Ok(interrupted) => interrupted,
        Err(stop) => return Ok(Err(stop)),
    };
    let ledger = Ledger { batch: &batch.id, tally: &tally, interrupted };
    ledger.print(options.output).context("writing to stdout")?;
    if interrupted {
        eprintln!("stopped watching; nothing is lost, {again}");
    } else if !options.keep {
        // Only now: had the ledger not been printed, the receipts would be all there is.
        let removed = async { batch.delete(&Link::open(address, "tagmill watch").await?).await };
        if let Err(error) = removed.await {
            eprintln!("the queue of the batch is still there: {error}; it goes in seven days");
        }
    }
    Ok(Ok(ledger.code()))
}

struct Following<'f> {
    address: &'f Address,
    batch: &'f Batch,
    interrupts: &'f Interrupts,
    bar: &'f ProgressBar,
    tally: Tally,
    /// When to look again whether somebody sends.
    look_at: Option<Instant>,
}

impl Following<'_> {
    /// True when it was interrupted.
    async fn run(&mut self) -> Result<bool, Stop> {
        let mut patience = GOING;
        let mut was_there = false;
        loop {
            let outcome = match self.connect(patience).await {
                Ok(Some((link, lock))) => {
                    was_there = true;
                    let outcome = self.rounds(&link).await;
                    if outcome.is_ok() {
                        lock.release().await;
                        link.close().await;
                    }
                    outcome
                }
                Ok(None) => return Ok(true),
                Err(error) => Err(error),
            };
            match outcome {
                Ok(interrupted) => return Ok(interrupted),
                Err(Lost::Stop(stop)) => return Err(stop),
                Err(Lost::Broker(error)) if was_there && matches!(error, BrokerError::Unavailable(_)) => {
                    patience = LOST;
                    self.bar.suspend(|| eprintln!("{error}; connecting again"));
                    tokio::select! {
                        () = sleep(AGAIN) => {}
                        () = self.interrupts.asked() => return Ok(true),
                    }
                }
                Err(Lost::Broker(error)) => return Err(error.into()),
            }
        }
    }

    /// A connection that has the batch to itself, and the right to it. `None`: interrupted.
    async fn connect(&self, patience: Duration) -> Result<Option<(Link, Lock)>, Lost> {
        let link = Link::open(self.address, &format!("tagmill watch {}", self.batch.id)).await?;
        let busy = || {
            let why = format!(
                "batch {} is being watched by another process; each receipt goes to one of the two, so only one can add \
                 them up",
                self.batch.id
            );
            Lost::Stop(Stop { code: exit::UNAVAILABLE, why })
        };
        let end = Instant::now() + patience;
        let lock = tokio::select! {
            lock = self.batch.lock_watch(&link, patience) => lock?.ok_or_else(busy)?,
            () = self.interrupts.asked() => return Ok(None),
        };
        // Whoever reads it by other means than ours is seen too, and what a reader held is back when it is gone.
        while self.depth(&link).await?.consumers > 0 {
            if Instant::now() > end {
                return Err(busy());
            }
            tokio::select! {
                () = sleep(QUIET) => {}
                () = self.interrupts.asked() => return Ok(None),
            }
        }
        Ok(Some((link, lock)))
    }

    async fn depth(&self, link: &Link) -> Result<Depth, Lost> {
        let mut gauge = Gauge::new(link);
        let found = gauge.depth(self.batch.queue()).await?;
        gauge.close().await;
        found.ok_or_else(|| self.gone())
    }

    fn gone(&self) -> Lost {
        let why = format!("there is no batch {}: its queue is gone", self.batch.id);
        Lost::Stop(Stop { code: exit::UNAVAILABLE, why })
    }

    async fn rounds(&mut self, link: &Link) -> Result<bool, Lost> {
        loop {
            let backlog = self.depth(link).await?.ready;
            let mut tail = Tail::open(link, self.batch.queue(), HELD).await?;
            let round = self.round(link, &mut tail, backlog).await;
            tail.close().await;
            match round? {
                Round::Done => return Ok(false),
                Round::Interrupted => return Ok(true),
                Round::Renew => {}
            }
        }
    }

    async fn round(&mut self, link: &Link, tail: &mut Tail, backlog: u64) -> Result<Round, Lost> {
        let began = Instant::now();
        let mut unread = backlog;
        let mut last = began;
        // What was there already says nothing of how fast it goes.
        let mut start = None;
        let mut tick = interval(Duration::from_millis(200));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let caught_up = unread == 0 || last.elapsed() > SILENT;
            if caught_up && self.tally.is_done() {
                while let Ok(read) = timeout(QUIET, tail.next()).await {
                    self.tally.take(self.batch, &read?);
                }
                return Ok(Round::Done);
            }
            tokio::select! {
                biased;
                () = self.interrupts.asked() => {
                    // What has come already belongs to the ledger so far.
                    let end = Instant::now() + LEAVING;
                    while Instant::now() < end
                        && let Ok(read) = timeout(QUIET, tail.next()).await
                    {
                        self.tally.take(self.batch, &read?);
                    }
                    return Ok(Round::Interrupted);
                }
                _ = tick.tick() => {
                    if caught_up {
                        start.get_or_insert((Instant::now(), self.tally.sum().done));
                        self.sender(link).await?;
                    }
                    self.draw(start);
                }
                () = sleep_until(began + RENEWED) => return Ok(Round::Renew),
                read = tail.next() => {
                    self.tally.take(self.batch, &read?);
                    unread = unread.saturating_sub(1);
                    last = Instant::now();
                }
            }
        }
    }

    /// Says so where a batch is incomplete and nobody sends the rest.
    async fn sender(&mut self, link: &Link) -> Result<(), Lost> {
        let is_due = self.look_at.is_none_or(|at| Instant::now() >= at);
        if !is_due || self.tally.complete().is_some() {
            return Ok(());
        }
        self.look_at = Some(Instant::now() + SENDER);
        if let Some(lock) = self.batch.lock_submit(link, Duration::ZERO).await? {
            lock.release().await;
            let (id, sent) = (&self.batch.id, report::count(self.tally.sent().jobs, "job"));
            let of =
                self.tally.begun().map_or(String::new(), |begun| format!(" of {}", report::thousands(begun.all.jobs)));
            self.bar.suspend(|| {
                eprintln!(
                    "batch {id} was not sent to its end ({sent}{of}) and nobody is sending it: `tagmill submit` with the same \
                     files and --batch {id} goes on with it, and so does the watch after that"
                );
            });
        }
        Ok(())
    }

    fn draw(&self, start: Option<(Instant, u64)>) {
        let sum = self.tally.sum();
        let all = self.tally.begun().map(|begun| begun.all).unwrap_or_default();
        self.bar.set_length(all.items.max(sum.done));
        self.bar.set_position(sum.done);
        let rate = start.map_or(0.0, |(since, done)| {
            (sum.done.saturating_sub(done)) as f64 / since.elapsed().as_secs_f64().max(0.001)
        });
        let left = report::count(all.jobs.saturating_sub(sum.jobs), "job");
        self.bar.set_message(format!("{rate:.0}/s, {left} left, {} dead", report::thousands(sum.dead)));
    }
}

/// Why a connection is of no more use.
enum Lost {
    Broker(BrokerError),
    Stop(Stop),
}

impl From<BrokerError> for Lost {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}
