//! The open database file, and opening it again.
//!
//! After one failed write (a full disk, say) the database library refuses everything until the file is opened anew: only
//! then it is sure of what reached the disk. The writer does that at once. When it cannot, because the disk is still
//! bad or a reader has not let go of the old file yet, whoever comes next tries again.
//!
//! The file's length is backed by blocks of the disk as soon as it has grown, so that on a full disk a write fails when
//! the file must grow and not when it fills what it has: what was removed makes room for further removals.

use crate::holder;
use crate::tx::Tree;
use model::{Error, Result};
use redb::{Database, DatabaseError, ReadableDatabase, StorageError, TableDefinition, WriteTransaction};
use rustix::fs::{FallocateFlags, fallocate};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// The tree of all rows, by its name in the file.
pub(crate) const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");

/// How much of the file is kept in memory, in bytes.
const CACHE: usize = 1 << 20;

/// A database file that is open, mostly.
pub(crate) struct Opened {
    path: PathBuf,
    current: RwLock<Option<Database>>,
    file: File,
    /// How much of the file is backed by blocks, in bytes.
    backed: AtomicU64,
}

impl Opened {
    /// Opens the file or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let database = open(path)?;
        let file = File::options().write(true).open(path);
        let file = file.map_err(|e| Error::io("open metadata database", path, e))?;
        let (path, current) = (path.to_owned(), RwLock::new(Some(database)));
        let opened = Self { path, current, file, backed: AtomicU64::new(0) };
        opened.create_tree()?;
        opened.back();
        Ok(opened)
    }

    /// Has the disk keep blocks for all of the file, if it has grown.
    pub(crate) fn back(&self) {
        let Ok(length) = self.file.metadata().map(|found| found.len()) else { return };
        // It has shrunk or is as it was; or, without room or on a file system that cannot do it, the next growth tries
        // again.
        if length <= self.backed.load(Ordering::Relaxed)
            || fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, length).is_ok()
        {
            self.backed.store(length, Ordering::Relaxed);
        }
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A look at the last commit.
    pub(crate) fn tree(&self) -> Result<Tree> {
        let unreadable = |e: redb::Error| self.failed("read", e);
        self.with(|database| {
            let tx = database.begin_read().map_err(|e| unreadable(e.into()))?;
            tx.open_table(ROWS).map_err(|e| unreadable(e.into()))
        })
    }

    /// Begins a write.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction> {
        self.with(|database| database.begin_write().map_err(|e| self.failed("write", e.into())))
    }

    /// Opens the file again after a failed write.
    pub(crate) fn renew(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // The old one holds the file's lock.
        drop(current.take());
        *current = open(&self.path).ok();
    }

    /// An error of the library during a step.
    pub(crate) fn failed(&self, step: &str, error: redb::Error) -> Error {
        Error::unknown(format!("{step} metadata database {}: {error}", self.path.display()))
            .with_source(error)
    }

    fn with<R>(&self, work: impl FnOnce(&Database) -> Result<R>) -> Result<R> {
        let current = self.read();
        if let Some(database) = &*current {
            return work(database);
        }
        drop(current);
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let database = match current.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        work(current.insert(database))
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn create_tree(&self) -> Result<()> {
        if self.tree().is_ok() {
            return Ok(());
        }
        let failed = |e: redb::Error| self.failed("initialise", e);
        let tx = self.begin_write()?;
        tx.open_table(ROWS).map(drop).map_err(|e| failed(e.into()))?;
        tx.commit().map_err(|e| failed(e.into()))
    }
}

fn open(path: &Path) -> Result<Database> {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
    builder.create(path).map_err(|e| cannot_open(path, e))
}

fn cannot_open(path: &Path, error: DatabaseError) -> Error {
    let file = path.display();
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            let by = holder::describe(path).unwrap_or_else(|| String::from("another process"));
            Error::unavailable(format!("metadata database {file} is in use by {by}; stop it first"))
        }
        DatabaseError::Storage(StorageError::Io(e)) if e.kind() != std::io::ErrorKind::InvalidData => {
            Error::io("open metadata database", path, e)
        }
        DatabaseError::UpgradeRequired(version) => Error::failed_precondition(format!(
            "metadata database {file} has file format {version}, which this version cannot read; use the version that wrote it"
        )),
        other => Error::data_loss(format!(
            "metadata database {file} is damaged or not a database ({other}); restore it from a backup, or move it away \
             to start empty"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_file_that_shrank_is_backed_again_when_it_grows() {
        let directory = tempfile::tempdir().expect("temp dir");
        let path = directory.path().join("meta.redb");
        let opened = Opened::open(&path).expect("fresh");
        let length = path.metadata().expect("a file").len();
        for at in [4 * length, length, 2 * length] {
            opened.file.set_len(at).expect("resized");
            opened.back();
            assert_eq!(opened.backed.load(Ordering::Relaxed), at);
            assert!(path.metadata().expect("a file").blocks() * 512 >= at, "{at}");
        }
    }
}
