//! What makes a whole file unreadable, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why a file gives no rows, or no more of them.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened.
    #[error("{}: cannot be opened: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Reading failed on the way; the rows before were good.
    #[error("{}:{line}: reading failed: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The last line that was read.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{}: the file is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is none of the formats we read.
    #[error("{}: {why}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was found and what to do.
        why: String,
    },
    /// The header of a CSV is wrong.
    #[error("{}: header: {why}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// It names resources but no tags.
    #[error("{}: nothing to do: {why}", path.display())]
    NoTags {
        /// The file.
        path: PathBuf,
        /// What to do.
        why: &'static str,
    },
}
