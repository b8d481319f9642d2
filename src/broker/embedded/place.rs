//! The state directory: made, locked by one process, and its queue file opened or refused with a reason.

use super::{
    fault::{Fault, Res, explain_io},
    tables,
};
use crate::{broker::BrokerError, worker::clock};
use jiff::Timestamp;
use redb::{Builder, Database, ReadableDatabase, TableError, backends::FileBackend};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

/// The file that holds everything.
const QUEUE: &str = "queue.redb";
/// A queue file that is still being made; it counts only once it has its real name.
const UNBORN: &str = "queue.redb.new";
/// The file whose lock says who works here.
const LOCK: &str = "lock";

/// Memory for cached pages, reads and writes together: bounded whatever the backlog.
const CACHE_BYTES: usize = 64 << 20;

/// Makes a database of a file path; tests put a failing disk in between.
pub type Opener = Box<dyn Fn(&Path) -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// A state directory that this process holds.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: PathBuf,
    /// How long ago another process last wrote the file; without a file there was none. `None` when it cannot be told.
    pub(super) untouched: Option<Duration>,
    /// Dropping it releases the lock, and so does the end of the process, however it ends.
    _lock: File,
}

/// Opens a file of the operating system, readable by its owner alone: tags can be personal data.
pub(super) fn on_disk() -> Opener {
    Box::new(|path| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        builder().create_with_backend(FileBackend::new(file)?)
    })
}

/// The settings every queue file is opened with.
///
/// The whole file is checked at every opening: a file that was changed behind our back is refused then, where it
/// would otherwise be trusted and make the store panic later.
pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

impl Place {
    /// Makes the directory where it is missing, and takes its lock.
    pub(super) fn take(dir: &Path) -> Result<Self, BrokerError> {
        make_dir(dir).map_err(|error| explain_io(&error, dir))?;
        let path = dir.join(LOCK);
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| explain_io(&error, &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(dir, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(explain_io(&error, &path)),
        }
        // The pid is a courtesy to the next process; the lock itself is what counts.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        let file = dir.join(QUEUE);
        Ok(Self { untouched: untouched(&file), file, _lock: lock })
    }

    /// Opens the queue file, making a new one where there is none.
    pub(super) fn open(&self, opener: &Opener) -> Res<Database> {
        let ready = catch_unwind(AssertUnwindSafe(|| self.open_or_make(opener)));
        ready.unwrap_or_else(|panic| Err(Fault::Panic(panic_text(&*panic))))
    }

    fn open_or_make(&self, opener: &Opener) -> Res<Database> {
        match std::fs::metadata(&self.file) {
            // A queue file is born complete, so an empty one has lost its content: never start over silently.
            Ok(meta) if meta.len() == 0 => return Err(Fault::Record("the file is empty".into())),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.make(opener)?,
            Err(error) => return Err(redb::StorageError::Io(error).into()),
        }
        let db = opener(&self.file)?;
        check_format(&db)?;
        Ok(db)
    }

    /// Makes a queue file under another name and renames it: a kill in between leaves nothing half-made.
    fn make(&self, opener: &Opener) -> Res<()> {
        let unborn = self.file.with_file_name(UNBORN);
        if let Err(error) = std::fs::remove_file(&unborn)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            return Err(redb::StorageError::Io(error).into());
        }
        let db = opener(&unborn)?;
        let write = db.begin_write()?;
        write.open_table(tables::META)?.insert("format", tables::FORMAT)?;
        write.commit()?;
        drop(db);
        std::fs::rename(&unborn, &self.file).map_err(redb::StorageError::Io)?;
        if let Some(dir) = self.file.parent() {
            // Without this the rename itself may not survive a power cut. Not every file system can do it.
            let _ = File::open(dir).and_then(|dir| dir.sync_all());
        }
        Ok(())
    }
}

/// How long ago a file was written. Every commit writes it, so what an earlier process finished is at least that old.
fn untouched(file: &Path) -> Option<Duration> {
    match std::fs::metadata(file).and_then(|meta| meta.modified()) {
        Ok(written) => {
            let since = clock::wall().duration_since(Timestamp::try_from(written).ok()?);
            Some(Duration::try_from(since).unwrap_or_default())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(Duration::MAX),
        Err(_) => None,
    }
}

/// Whether a queue was made in this directory.
pub(super) fn holds_a_queue(dir: &Path) -> bool {
    dir.join(QUEUE).exists()
}

fn make_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn in_use(dir: &Path, lock: &mut File) -> BrokerError {
    let mut pid = String::new();
    let _ = lock.rewind().and_then(|()| lock.take(20).read_to_string(&mut pid));
    let who = match pid.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_owned(),
    };
    BrokerError::InUse(format!(
        "state directory {} is in use by {who}: wait until it ends, or name another directory with --state",
        dir.display()
    ))
}

fn check_format(db: &Database) -> Res<()> {
    let read = db.begin_read()?;
    let found = match read.open_table(tables::META) {
        Ok(meta) => redb::ReadableTable::get(&meta, "format")?.map(|format| format.value()),
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => None,
    };
    match found {
        Some(tables::FORMAT) => Ok(()),
        Some(other) => Err(Fault::Format(other)),
        None => Err(Fault::Record("it is a database, but not a queue of tagmill".into())),
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown fault".to_owned())
}
