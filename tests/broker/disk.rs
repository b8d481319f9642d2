//! A disk that stops at any operation, loses what was not synced, or fills up.

use redb::{Builder, StorageBackend};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};
use tagmill::broker::embedded::Opener;

/// Shared with every backend made from it, so a test can look and pull the plug.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    path: PathBuf,
    /// As a reader sees it.
    content: Vec<u8>,
    /// As of the last sync.
    synced: Vec<u8>,
    /// Written since then.
    unsynced: Vec<Write>,
    operations: u64,
    stop_after: Option<u64>,
    limit: Option<u64>,
}

#[derive(Clone, Debug)]
enum Write {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl Write {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Length(length) => content.resize(usize::try_from(*length).unwrap(), 0),
            Self::Bytes(offset, bytes) => {
                let from = usize::try_from(*offset).unwrap();
                if content.len() < from + bytes.len() {
                    content.resize(from + bytes.len(), 0);
                }
                content[from..from + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Opens databases on this disk; files hold their content only after a clean close or a crash.
    pub fn opener(&self) -> Opener {
        let disk = self.clone();
        Box::new(move |path| {
            let content = std::fs::read(path).unwrap_or_default();
            {
                let mut state = disk.state();
                if state.stopped() {
                    return Err(redb::StorageError::Io(io::Error::other("the plug is pulled")).into());
                }
                path.clone_into(&mut state.path);
                state.synced.clone_from(&content);
                state.content = content;
                state.unsynced.clear();
            }
            Builder::new().set_check_integrity_on_open(true).create_with_backend(disk.clone())
        })
    }

    /// Nothing reaches the disk after so many operations; the last of them is torn.
    pub fn stop_after(&self, operations: u64) {
        self.state().stop_after = Some(operations);
    }

    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Room for so many bytes from here on; `None` is plenty.
    pub fn limit(&self, bytes: Option<u64>) {
        self.state().limit = bytes;
    }

    pub fn size(&self) -> u64 {
        self.state().content.len() as u64
    }

    /// Writes what a kill of the process leaves: everything written so far.
    pub fn kill(&self) {
        let state = self.state();
        std::fs::write(&state.path, &state.content).unwrap();
    }

    /// Writes what a power cut leaves: what was synced, and any of the rest that `keeps` picks.
    pub fn cut_power(&self, mut keeps: impl FnMut(usize) -> bool) {
        let state = self.state();
        let mut content = state.synced.clone();
        for (n, write) in state.unsynced.iter().enumerate() {
            if keeps(n) {
                write.apply(&mut content);
            }
        }
        std::fs::write(&state.path, content).unwrap();
    }

    /// Where the open database is.
    pub fn path(&self) -> PathBuf {
        self.state().path.clone()
    }
}

impl State {
    fn stopped(&self) -> bool {
        self.stop_after.is_some_and(|stop| self.operations >= stop)
    }

    fn write(&mut self, write: Write) -> io::Result<()> {
        if self.stopped() {
            return Err(io::Error::other("the plug is pulled"));
        }
        let end = match &write {
            Write::Length(length) => *length,
            Write::Bytes(offset, bytes) => offset + bytes.len() as u64,
        };
        if self.limit.is_some_and(|limit| end > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.operations += 1;
        let write = match write {
            Write::Bytes(offset, mut bytes) if self.stopped() => {
                bytes.truncate(bytes.len() / 2);
                Write::Bytes(offset, bytes)
            }
            whole => whole,
        };
        write.apply(&mut self.content);
        self.unsynced.push(write);
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = usize::try_from(offset).unwrap();
        let found = state.content.get(from..from + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.state().write(Write::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.stopped() {
            return Err(io::Error::other("the plug is pulled"));
        }
        state.operations += 1;
        let State { content, synced, unsynced, .. } = &mut *state;
        synced.clone_from(content);
        unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.state().write(Write::Bytes(offset, bytes.to_vec()))
    }

    fn close(&self) -> io::Result<()> {
        let state = self.state();
        if state.stopped() {
            return Ok(());
        }
        std::fs::write(&state.path, &state.content)
    }
}

/// Copies a queue file into a state directory of its own.
pub fn copy_queue(from: &Path, into: &Path) {
    std::fs::copy(from.join("queue.redb"), into.join("queue.redb")).unwrap();
}
