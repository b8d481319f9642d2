//! The deliveries of one lane, read page by page behind a cursor.

use super::{Embedded, board::Spot, fault::Res, marks, present, store::Store, tables, txn};
use crate::{
    broker::{BrokerError, Delivery, Feed, Ticket},
    job::LaneName,
};
use redb::ReadTransaction;
use std::sync::{Arc, atomic::Ordering};

/// Bytes of messages in one page at most (one message always fits).
const PAGE_BYTES: usize = 16 << 20;

/// The one open feed of a lane. Dropping it lets the lane be opened again, from its head.
#[derive(Debug)]
pub struct EmbeddedFeed {
    store: Arc<Store>,
    spot: Arc<Spot>,
    lane: u32,
    /// The next ticket that may be handed over.
    cursor: u64,
}

impl EmbeddedFeed {
    pub(super) async fn open(queue: &Embedded, name: &LaneName) -> Result<Self, BrokerError> {
        let wanted = name.clone();
        let lane = queue.write(move |txn| txn.lane(&wanted)).await?;
        let spot = queue.board.spot(lane);
        if spot.taken.swap(true, Ordering::AcqRel) {
            return Err(BrokerError::InUse(format!("lane {name} is open already: close its feed first")));
        }
        // From here on a failure gives the lane back, by dropping the feed.
        let cursor = *tables::lane_range(lane).start();
        let feed = Self { store: Arc::clone(&queue.store), spot, lane, cursor };
        let newest = super::read(&feed.store, move |read| {
            let Some(pending) = present(read.open_table(tables::PENDING))? else { return Ok(None) };
            let last = pending.range(tables::lane_range(lane))?.next_back().transpose()?;
            Ok(last.map(|(ticket, _)| ticket.value()))
        })
        .await?;
        feed.spot.tail.fetch_max(newest.unwrap_or(0), Ordering::AcqRel);
        Ok(feed)
    }
}

impl Drop for EmbeddedFeed {
    fn drop(&mut self) {
        self.spot.taken.store(false, Ordering::Release);
    }
}

impl Feed for EmbeddedFeed {
    async fn next(&mut self, most: usize) -> Result<Vec<Delivery>, BrokerError> {
        loop {
            let (lane, cursor) = (self.lane, self.cursor);
            let page = super::read(&self.store, move |read| page(read, lane, cursor, most.max(1))).await?;
            if let Some(last) = page.last() {
                // Nothing is awaited between here and the return: a dropped future has not moved the cursor.
                self.cursor = last.ticket.0 + 1;
                return Ok(page);
            }
            self.spot.news.notified().await;
        }
    }

    fn is_exhausted(&self) -> bool {
        if self.cursor > self.spot.tail.load(Ordering::Acquire) {
            return true;
        }
        // What is left may have been cancelled in the meantime.
        let left = self.store.read(|read| {
            let Some(pending) = present(read.open_table(tables::PENDING))? else { return Ok(false) };
            let next = pending.range(self.cursor..=*tables::lane_range(self.lane).end())?.next();
            Ok(next.transpose()?.is_some())
        });
        matches!(left, Ok(false))
    }
}

fn page(read: &ReadTransaction, lane: u32, cursor: u64, most: usize) -> Res<Vec<Delivery>> {
    let Some(pending) = present(read.open_table(tables::PENDING))? else { return Ok(Vec::new()) };
    let marked = present(read.open_table(tables::MARKS))?;
    let traces = present(read.open_table(tables::TRACES))?;
    let mut found = Vec::new();
    let (mut bytes, mut left) = (0, most as u64);
    for row in pending.range(cursor..=*tables::lane_range(lane).end())? {
        let (ticket, row) = row?;
        let (_, from_row, items, body) = row.value();
        bytes += body.len();
        // What has no items takes its place all the same: a page always ends.
        let items = items.max(1);
        if (bytes > PAGE_BYTES || items > left) && !found.is_empty() {
            break;
        }
        left = left.saturating_sub(items);
        let ticket = ticket.value();
        let marks = match &marked {
            Some(table) => marks::of(table, ticket)?,
            None => Vec::new(),
        };
        found.push(Delivery {
            ticket: Ticket(ticket),
            id: ticket.to_string().into(),
            body: body.to_vec(),
            line: from_row.checked_sub(1),
            marks,
            // Every job was given its `created_at` when it was enqueued.
            published_at: None,
            trace: match &traces {
                Some(table) => txn::trace_of(table, ticket)?,
                None => None,
            },
        });
        if left == 0 {
            break;
        }
    }
    Ok(found)
}
