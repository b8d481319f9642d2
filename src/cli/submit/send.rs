//! The jobs of a batch on their way: read, published, confirmed, noted. Memory is bounded by what is not confirmed yet.

use super::{
    group::{Grouping, Identity, Piece},
    plan,
};
use crate::{
    broker::{
        BrokerError, RawDeadLetter,
        rabbitmq::{
            Address, Batch, Gauge, Link, LinkState, Message, Publisher,
            batch::{Note, Sent},
        },
    },
    cli::{
        files::{InputError, Reader},
        interrupt::Interrupts,
        progress, report,
    },
    job::Trace,
};
use jiff::Timestamp;
use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

/// Messages on their way at most: what the publisher keeps in flight, so that handing it one more never waits.
const WINDOW: usize = 500;
/// Their bytes, about.
const WINDOW_BYTES: usize = 16 << 20;
/// Messages that are read ahead.
const AHEAD: usize = 16;
/// A note is due after so many confirmed jobs and bad rows, or so many items.
const NOTE_EVERY: (u64, u64) = (500, 20_000);
/// Without a confirm for so long, although the broker is there, somebody may have removed the batch's queue.
const STALLED: Duration = Duration::from_secs(30);

/// One message that was read, and where the batch stands when it is confirmed.
struct Parcel {
    message: Message,
    sent: Sent,
}

/// One message that is not confirmed yet.
struct Flight {
    confirmed: Pin<Box<dyn Future<Output = Result<(), BrokerError>> + Send>>,
    /// `None`: a note.
    sent: Option<Sent>,
    bytes: usize,
}

/// How the sending ended.
#[derive(Debug)]
pub struct Outcome {
    /// What is confirmed, from the start of the batch.
    pub sent: Sent,
    /// Why it ended before everything was sent.
    pub early: Option<Early>,
}

/// Why not everything was sent.
#[derive(Debug)]
pub enum Early {
    /// The user wished so.
    Interrupted,
    /// The files can be read no further.
    Unreadable(InputError),
    /// The broker will not take it.
    Refused(BrokerError),
}

/// What to send, and with what.
pub struct Sending<'s> {
    pub reader: Arc<Reader>,
    pub identity: Identity,
    pub batch: &'s Batch,
    /// What an earlier command has sent already.
    pub already: Sent,
    /// Items of the whole batch.
    pub items: u64,
    pub publisher: &'s Publisher,
    /// For looking after the batch's queue.
    pub address: &'s Address,
    pub trace: Option<Trace>,
    pub interrupts: &'s Interrupts,
}

impl Sending<'_> {
    /// Sends what is left of the batch. Returns when everything that was begun is confirmed and noted.
    pub async fn send(&self) -> Outcome {
        let (parcels, mut reading) = self.read();
        let mut parcels = Some(parcels);
        let mut flights: VecDeque<Flight> = VecDeque::new();
        let (mut bytes, mut sent, mut noted) = (0, self.already, self.already);
        let mut early = None;
        let mut state = self.publisher.state();
        let mut link = state.borrow_and_update().clone();
        let bar = progress::bar(self.items);
        let mut tick = interval(Duration::from_millis(200));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut confirmed_at = Instant::now();
        loop {
            if parcels.is_none() && flights.is_empty() && (sent == noted || early_is_fatal(early.as_ref())) {
                break;
            }
            let due = parcels.is_none() && flights.is_empty()
                || sent.jobs + sent.bad - noted.jobs - noted.bad >= NOTE_EVERY.0
                || sent.items - noted.items >= NOTE_EVERY.1;
            if due && sent != noted && flights.len() < WINDOW {
                noted = sent;
                self.begin(self.batch.note(&Note::Published(sent)), None, &mut flights).await;
                continue;
            }
            let room = flights.len() < WINDOW - 1 && bytes < WINDOW_BYTES;
            tokio::select! {
                biased;
                () = self.interrupts.asked(), if parcels.is_some() => {
                    parcels = None;
                    early = Some(Early::Interrupted);
                }
                _ = tick.tick() => {
                    bar.set_position(sent.items);
                    bar.set_message(format!("{} sent", report::count(sent.jobs, "job")));
                    if flights.is_empty() || !matches!(link, LinkState::Up) {
                        confirmed_at = Instant::now();
                    } else if confirmed_at.elapsed() > STALLED {
                        confirmed_at = Instant::now();
                        if let Err(error) = self.is_there().await {
                            (early, parcels) = (Some(Early::Refused(error)), None);
                            flights.clear();
                        }
                    }
                }
                changed = state.changed() => {
                    if changed.is_err() {
                        let gone = BrokerError::Unavailable("the connection for publishing was closed".into());
                        (early, parcels) = (Some(Early::Refused(gone)), None);
                        flights.clear();
                        continue;
                    }
                    let before = std::mem::replace(&mut link, state.borrow_and_update().clone());
                    bar.suspend(|| say(&before, &link));
                }
                confirmed = front(&mut flights) => {
                    let Some(flight) = flights.pop_front() else { continue };
                    confirmed_at = Instant::now();
                    bytes -= flight.bytes;
                    match confirmed {
                        Ok(()) => sent = flight.sent.unwrap_or(sent),
                        Err(error) => {
                            // What was behind it may be safe or not; the next command finds out by sending it again.
                            (early, parcels) = (Some(Early::Refused(error)), None);
                            flights.clear();
                        }
                    }
                }
                parcel = next(&mut parcels), if room => {
                    if let Some(Parcel { message, sent }) = parcel {
                        bytes += message.body.len();
                        self.begin(message, Some(sent), &mut flights).await;
                    } else {
                        parcels = None;
                        if let Ok(Err(error)) = (&mut reading).await {
                            early = Some(Early::Unreadable(error));
                        }
                    }
                }
            }
        }
        bar.finish_and_clear();
        Outcome { sent, early }
    }

    /// Whether the batch's queue is there, as far as that can be found out. Without it a note has nowhere to go, and the
    /// publisher would try for ever.
    async fn is_there(&self) -> Result<(), BrokerError> {
        let found = async {
            let link = Link::open(self.address, "tagmill submit").await?;
            let found = Gauge::new(&link).depth(self.batch.queue()).await;
            link.close().await;
            found
        };
        match found.await {
            Ok(None) => {
                let why = format!("queue {} was removed while the batch was sent", self.batch.queue());
                Err(BrokerError::Refused(why))
            }
            Ok(Some(_)) => Ok(()),
            Err(error) => {
                tracing::warn!(why = %error, "the queue of the batch cannot be looked at");
                Ok(())
            }
        }
    }

    async fn begin(&self, message: Message, sent: Option<Sent>, flights: &mut VecDeque<Flight>) {
        let bytes = if sent.is_some() { message.body.len() } else { 0 };
        let begun = self.publisher.begin(message).await;
        let confirmed = async { begun?.confirmed().await };
        flights.push_back(Flight { confirmed: Box::pin(confirmed), sent, bytes });
    }

    /// Reads the files beside the sending, which takes it parcel by parcel.
    fn read(&self) -> (mpsc::Receiver<Parcel>, tokio::task::JoinHandle<Result<(), InputError>>) {
        let (give, parcels) = mpsc::channel(AHEAD);
        let (reader, identity, batch) = (Arc::clone(&self.reader), self.identity.clone(), self.batch.clone());
        let (already, trace) = (self.already, self.trace.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let mut packing = Packing { batch, made: identity.created_at, already, trace, sent: Sent::default() };
            let mut grouping = Grouping::new(&identity, |lane, resource| plan::key(&reader, lane, resource));
            let mut emit = |piece| match packing.parcel(piece) {
                // Nobody takes it any more: the command is ending.
                Some(parcel) => give.blocking_send(parcel).map_err(|_| Stop::Ended),
                None => Ok(()),
            };
            let read = reader.each_of(|digest, found| grouping.add(digest, found, &mut emit));
            match read.and_then(|()| grouping.finish(&mut emit)) {
                Ok(()) | Err(Stop::Ended) => Ok(()),
                Err(Stop::Input(error)) => Err(error),
            }
        });
        (parcels, reading)
    }
}

/// Why no more is read.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("the sending has ended")]
    Ended,
}

/// Pieces to messages, without those that were sent before.
struct Packing {
    batch: Batch,
    made: Timestamp,
    already: Sent,
    trace: Option<Trace>,
    sent: Sent,
}

impl Packing {
    fn parcel(&mut self, piece: Piece) -> Option<Parcel> {
        match piece {
            Piece::Job(job) => {
                self.sent.jobs += 1;
                self.sent.items += job.resources.len() as u64;
                // A job that was parsed can be written.
                let body = || serde_json::to_vec(&job).unwrap_or_default();
                (self.sent.jobs > self.already.jobs)
                    .then(|| Parcel { message: self.batch.job(&job, body(), self.trace.as_ref()), sent: self.sent })
            }
            Piece::Bad(id, bad) => {
                self.sent.bad += 1;
                let letter = RawDeadLetter {
                    id,
                    lane: bad.lane,
                    code: bad.code.to_owned(),
                    message: bad.message,
                    source: Some(bad.file),
                    line: Some(bad.line),
                    body: bad.bytes,
                };
                let message = || self.batch.bad(&letter, self.made).with_trace(self.trace.as_ref());
                (self.sent.bad > self.already.bad).then(|| Parcel { message: message(), sent: self.sent })
            }
        }
    }
}

/// Says on stderr that sending has to wait, and that it goes on.
pub fn say(before: &LinkState, now: &LinkState) {
    match now {
        LinkState::Blocked(why) => eprintln!("the broker takes no messages for now ({why}); waiting"),
        LinkState::Lost(why) => eprintln!("the broker is not there ({why}); waiting for it"),
        LinkState::Up if matches!(before, LinkState::Blocked(_)) => eprintln!("the broker takes messages again"),
        LinkState::Up => {}
    }
}

/// After that, nothing can be noted either.
fn early_is_fatal(early: Option<&Early>) -> bool {
    matches!(early, Some(Early::Refused(_)))
}

async fn front(flights: &mut VecDeque<Flight>) -> Result<(), BrokerError> {
    match flights.front_mut() {
        Some(flight) => flight.confirmed.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn next(parcels: &mut Option<mpsc::Receiver<Parcel>>) -> Option<Parcel> {
    match parcels {
        Some(parcels) => parcels.recv().await,
        None => std::future::pending().await,
    }
}
