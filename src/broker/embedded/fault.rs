//! What can go wrong in the store, and the words in which the user hears of it.

use crate::broker::BrokerError;
use std::{fmt, io, path::Path};

/// A step that failed inside the store.
#[derive(Debug)]
pub(super) enum Fault {
    /// The store itself.
    Store(redb::Error),
    /// A record that is no record of ours.
    Record(String),
    /// A queue file of another layout.
    Format(u64),
    /// The store panicked over what it read.
    Panic(String),
}

/// The result of a step inside the store.
pub(super) type Res<T> = Result<T, Fault>;

macro_rules! from_store {
    ($($error:ident),*) => { $(
        impl From<redb::$error> for Fault {
            fn from(error: redb::$error) -> Self {
                Self::Store(error.into())
            }
        }
    )* };
}
from_store!(StorageError, TableError, TransactionError, CommitError, DatabaseError);

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Record(error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "{error}"),
            Self::Record(text) => write!(f, "unreadable record: {text}"),
            Self::Format(version) => write!(f, "queue format {version}"),
            Self::Panic(text) => write!(f, "unreadable data: {text}"),
        }
    }
}

impl Fault {
    /// True when the store has to be opened again before it can be used.
    pub(super) fn breaks_the_store(&self) -> bool {
        !matches!(self, Self::Record(_))
    }

    /// What happened, where, and what to do.
    pub(super) fn explain(&self, path: &Path) -> BrokerError {
        let at = path.display();
        let text = match self {
            Self::Store(redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch) => {
                return BrokerError::InUse(format!(
                    "{at} is in use by another process: wait until it ends, or name another directory with --state"
                ));
            }
            Self::Store(redb::Error::Io(error)) => return explain_io(error, path),
            Self::Store(redb::Error::PreviousIo | redb::Error::DatabaseClosed) => {
                format!("{at} cannot be used: the disk failed a moment ago. Check the disk, then run the command again")
            }
            Self::Store(redb::Error::ValueTooLarge(size)) => format!("{at}: a record of {size} bytes is too large"),
            Self::Store(redb::Error::UpgradeRequired(version)) => format!(
                "{at} is in an older file format ({version}): finish its work with the version of tagmill that wrote \
                 it, then start with an empty state directory"
            ),
            Self::Format(version) => format!(
                "{at} has queue format {version} and this version of tagmill reads format {}: finish its work with the \
                 version that wrote it, or name another directory with --state",
                super::tables::FORMAT
            ),
            Self::Store(_) | Self::Record(_) | Self::Panic(_) => format!(
                "{at} is damaged ({self}). Put back a copy of it, or move the state directory away and start again \
                 from your files: tags that were written already are written once more, which is harmless"
            ),
        };
        BrokerError::Storage(text)
    }
}

/// The same for an error of the operating system.
pub(super) fn explain_io(error: &io::Error, path: &Path) -> BrokerError {
    let at = path.display();
    BrokerError::Storage(match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => format!(
            "no space left for {at} ({error}). What was confirmed before is safe, this step was not recorded: free \
             some space, then run the command again"
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
            "{at} cannot be written ({error}): check its owner and permissions, or name another directory with --state"
        ),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("{at} is not a directory: move it away, or name another directory with --state")
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => format!(
            "{at} is damaged ({error}). Put back a copy of it, or move the state directory away and start again from \
             your files: tags that were written already are written once more, which is harmless"
        ),
        _ => format!("{at}: {error}. Check the disk and the file system, then run the command again"),
    })
}
