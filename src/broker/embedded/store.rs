//! The open queue file: reads beside writes, and a new opening after a failure.

use super::{
    board::Board,
    fault::{Fault, Res},
    place::{Opener, Place, panic_text},
    txn::Txn,
};
use crate::broker::BrokerError;
use redb::{Database, ReadTransaction, ReadableDatabase};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{PoisonError, RwLock},
    time::Duration,
};

/// The queue file of one state directory.
pub(super) struct Store {
    /// The reason, while it could not be opened again after a failure.
    db: RwLock<Result<Database, String>>,
    opener: Opener,
    place: Place,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store {
    pub(super) fn open(place: Place, opener: Opener) -> Result<Self, BrokerError> {
        let db = place.open(&opener).map_err(|fault| fault.explain(&place.file))?;
        Ok(Self { db: RwLock::new(Ok(db)), opener, place })
    }

    /// How long the file had lain there when this process took it.
    pub(super) fn untouched(&self) -> Option<Duration> {
        self.place.untouched
    }

    /// Reads from one consistent state, beside any writing.
    pub(super) fn read<T>(&self, look: impl FnOnce(&ReadTransaction) -> Res<T>) -> Result<T, BrokerError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().map_err(|reason| BrokerError::Storage(reason.clone()))?;
        let seen = catch_unwind(AssertUnwindSafe(|| look(&db.begin_read()?)));
        let seen = seen.unwrap_or_else(|panic| Err(Fault::Panic(panic_text(&*panic))));
        seen.map_err(|fault| fault.explain(&self.place.file))
    }

    /// Runs one transaction and commits it durably, or leaves everything as it was.
    ///
    /// After a failure of the disk the file is opened again at once: what was confirmed before can be read on, and
    /// writing works again as soon as the disk does.
    pub(super) fn write<T>(&self, board: &Board, work: impl FnOnce(&mut Txn<'_>) -> Res<T>) -> Result<T, BrokerError> {
        self.revive()?;
        let done = {
            let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
            let db = db.as_ref().map_err(|reason| BrokerError::Storage(reason.clone()))?;
            let done = catch_unwind(AssertUnwindSafe(|| transact(db, board, work)));
            done.unwrap_or_else(|panic| Err(Fault::Panic(panic_text(&*panic))))
        };
        match done {
            Ok((value, published)) => {
                board.announce(published);
                Ok(value)
            }
            Err(fault) => {
                if fault.breaks_the_store() {
                    self.close("the queue was closed after a failure");
                    // Whoever reads next hears why, should this fail too.
                    let _ = self.revive();
                }
                Err(fault.explain(&self.place.file))
            }
        }
    }

    fn close(&self, reason: &str) {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        *db = Err(reason.to_owned());
    }

    /// Opens the file again if the last failure closed it.
    fn revive(&self) -> Result<(), BrokerError> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if db.is_ok() {
            return Ok(());
        }
        match self.place.open(&self.opener) {
            Ok(opened) => {
                *db = Ok(opened);
                Ok(())
            }
            Err(fault) => {
                let error = fault.explain(&self.place.file);
                *db = Err(error.to_string());
                Err(error)
            }
        }
    }
}

type Published = std::collections::BTreeMap<u32, u64>;

fn transact<T>(db: &Database, board: &Board, work: impl FnOnce(&mut Txn<'_>) -> Res<T>) -> Res<(T, Published)> {
    let write = db.begin_write()?;
    let mut txn = Txn::open(&write, board)?;
    let value = work(&mut txn)?;
    let published = txn.finish()?;
    write.commit()?;
    Ok((value, published))
}
