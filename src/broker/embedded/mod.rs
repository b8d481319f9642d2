//! The embedded queue: jobs, dead letters, receipts and runs in one redb file, for one process.
//!
//! Every write goes through one thread that folds what waits into one durable transaction (`writer`); reads run
//! beside it on a consistent state. A ticket is the key of its message, so lanes are ranges of one table, in the order
//! of arrival (`tables`). A kill at any moment leaves the file as it was after some commit, and everything that was
//! answered with `Ok` is in it.

mod board;
mod cancel;
mod dead;
mod deeds;
mod fault;
mod feed;
mod marks;
mod place;
mod replay;
mod runs;
mod store;
mod tables;
mod tally;
mod totals;
mod txn;
mod writer;

pub use super::{DeadCount, DeadEntry, DeadFilter, Pick, StoredDead};
pub use cancel::{CancelFilter, Cancelled, ReadJob};
pub use dead::{DeadCursor, DeadPage};
pub use feed::EmbeddedFeed;
pub use place::Opener;
pub use replay::Replayed;
pub use runs::{EnqueueRow, Run, RunId, RunState, RunSummary};
pub use totals::{LaneTotals, RunTotals};

use super::{Broker, BrokerError, Deed, Orders};
use crate::job::{LaneName, Receipt};
use board::Board;
use fault::Res;
use place::Place;
use redb::{ReadTransaction, ReadableTable, TableError};
use std::{path::Path, sync::Arc, time::Duration};
use store::Store;
use tokio::sync::watch;
use txn::Txn;
use writer::Writer;

/// The queue of one state directory. Clones share it; the last one to go closes it.
#[derive(Clone, Debug)]
pub struct Embedded {
    // First, so that the last writes are done before the file and its lock go.
    writer: Arc<Writer>,
    store: Arc<Store>,
    board: Arc<Board>,
    /// Nobody gives orders to a queue that one process has to itself.
    orders: Arc<watch::Sender<Arc<Orders>>>,
}

impl Embedded {
    /// Opens the queue in a state directory, making both where they are missing.
    ///
    /// `InUse` when another process holds the directory; `Storage` when it cannot be written or its file is damaged or
    /// of another version. Checks the whole file, so it takes a moment for a large one.
    pub fn open(dir: &Path) -> Result<Self, BrokerError> {
        Self::open_with(dir, place::on_disk())
    }

    /// Whether a state directory holds a queue.
    pub fn is_in(dir: &Path) -> bool {
        place::holds_a_queue(dir)
    }

    /// [`Embedded::open`] over any storage: for tests of failing disks.
    #[doc(hidden)]
    pub fn open_with(dir: &Path, opener: Opener) -> Result<Self, BrokerError> {
        let store = Arc::new(Store::open(Place::take(dir)?, opener)?);
        let board = Arc::new(Board::default());
        let writer = Arc::new(Writer::start(Arc::clone(&store), Arc::clone(&board))?);
        Ok(Self { writer, store, board, orders: Arc::default() })
    }

    /// Appends messages to a lane outside of any run, durably: (items, message) each.
    pub async fn publish(&self, lane: &LaneName, messages: Vec<(u64, Vec<u8>)>) -> Result<(), BrokerError> {
        let lane = lane.clone();
        self.write(move |txn| {
            let lane = txn.lane(&lane)?;
            messages.iter().try_for_each(|(items, body)| {
                txn.publish(lane, 0, &txn::Message { line: None, items: *items, body, trace: None })
            })
        })
        .await
    }

    /// Receipts from the oldest on, at most `most` after number `after`. The newest 100,000 are kept.
    pub async fn receipts(&self, after: u64, most: usize) -> Result<Vec<(u64, Receipt)>, BrokerError> {
        self.read(move |read| {
            let Some(receipts) = present(read.open_table(tables::RECEIPTS))? else { return Ok(Vec::new()) };
            let rows = receipts.range(after.saturating_add(1)..)?.take(most);
            rows.map(|row| {
                let (number, receipt) = row?;
                Ok((number.value(), serde_json::from_slice(receipt.value())?))
            })
            .collect()
        })
        .await
    }

    /// Messages of a lane that are not acked.
    pub async fn backlog(&self, lane: &LaneName) -> Result<u64, BrokerError> {
        let lane = lane.clone();
        self.read(move |read| {
            let Some(number) = lane_number(read, &lane)? else { return Ok(0) };
            let Some(pending) = present(read.open_table(tables::PENDING))? else { return Ok(0) };
            let mut count = 0;
            for row in pending.range(tables::lane_range(number))? {
                row?;
                count += 1;
            }
            Ok(count)
        })
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Txn<'_>) -> Res<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        self.writer.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Res<T> + Send + 'static,
    ) -> Result<T, BrokerError> {
        read(&self.store, look).await
    }
}

/// Reads on a thread that may wait for the disk.
async fn read<T: Send + 'static>(
    store: &Arc<Store>,
    look: impl FnOnce(&ReadTransaction) -> Res<T> + Send + 'static,
) -> Result<T, BrokerError> {
    let store = Arc::clone(store);
    let seen = tokio::task::spawn_blocking(move || store.read(look)).await;
    seen.unwrap_or_else(|_| Err(BrokerError::Storage("the queue has stopped: run the command again".into())))
}

/// A table that nobody has written to yet does not exist.
fn present<T>(table: Result<T, TableError>) -> Res<Option<T>> {
    match table {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn lane_number(read: &ReadTransaction, lane: &LaneName) -> Res<Option<u32>> {
    let Some(lanes) = present(read.open_table(tables::LANES))? else { return Ok(None) };
    Ok(ReadableTable::get(&lanes, lane.as_str())?.map(|number| number.value()))
}

impl Broker for Embedded {
    type Feed = EmbeddedFeed;

    const REMEMBERS_MARKS: bool = true;

    fn orders(&self) -> watch::Receiver<Arc<Orders>> {
        self.orders.subscribe()
    }

    fn last_owner(&self) -> Option<Duration> {
        self.store.untouched()
    }

    async fn open_lane(&self, lane: &LaneName) -> Result<EmbeddedFeed, BrokerError> {
        EmbeddedFeed::open(self, lane).await
    }

    async fn commit(&self, deeds: Vec<Deed>) -> Result<(), BrokerError> {
        self.write(move |txn| deeds.into_iter().try_for_each(|deed| deeds::apply(txn, deed))).await
    }
}
