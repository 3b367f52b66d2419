//! The database file: opening it, reading it, queueing writes.

use crate::tx::{ReadTx, Tree, WriteTx};
use crate::writer::{Job, Sink, Write, Writer};
use crate::{Happened, holder, migrations};
use model::{Error, Result};
use redb::{Database, DatabaseError, StorageError, TableDefinition};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// The tree of all rows, by its name in the file.
pub(crate) const ROWS: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("rows");

/// How much of the file is kept in memory, in bytes.
const CACHE: usize = 1 << 20;
/// How many writes may wait; the next caller waits for room.
const QUEUE: usize = 1024;

/// The metadata database. Dropping it waits for the writes that are queued.
pub struct Store {
    database: Arc<Database>,
    path: PathBuf,
    writer: Mutex<Option<Thread>>,
    sink: Sink,
}

struct Thread {
    queue: SyncSender<Box<dyn Job>>,
    handle: JoinHandle<()>,
}

impl Store {
    /// Opens the database file, or makes it together with its directory (mode 0700).
    ///
    /// # Errors
    /// `Unavailable` when another process has it open, `DataLoss` when it is no database of ours or damaged,
    /// `FailedPrecondition` when a newer version wrote it. All name the file.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(directory) = path.parent() {
            make_private(directory)?;
        }
        let database = Database::builder()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create(path)
            .map_err(|e| cannot_open(path, e))?;
        let database = Arc::new(database);
        create_tree(&database, path)?;
        let sink: Sink = Arc::new(OnceLock::new());
        let (queue, waiting) = sync_channel(QUEUE);
        let writer =
            Writer { database: database.clone(), path: path.to_owned(), queue: waiting, sink: sink.clone() };
        let handle = std::thread::Builder::new()
            .name(String::from("metadata"))
            .spawn(move || writer.run())
            .map_err(|e| Error::io("start the writer of", path, e))?;
        let store = Self {
            database,
            path: path.to_owned(),
            writer: Mutex::new(Some(Thread { queue, handle })),
            sink,
        };
        migrations::run(&store)?;
        Ok(store)
    }

    /// Says who is told of events after each commit; called by the writer's thread, before the callers of the group
    /// get their answers. Only the first call counts.
    pub fn on_commit(&self, sink: impl Fn(Vec<Happened>) + Send + Sync + 'static) {
        let _ = self.sink.set(Box::new(sink));
    }

    /// Reads from a snapshot of the last commit, on this thread; no writer is waited for.
    ///
    /// # Errors
    /// Those of the closure and of the disk.
    pub fn read<R>(&self, closure: impl FnOnce(&ReadTx) -> Result<R>) -> Result<R> {
        closure(&ReadTx::new(open_tree(&self.database, &self.path)?))
    }

    /// Queues a write; waits only while the queue is full. The closure runs on the writer's thread and must be short.
    /// If it fails, nothing it changed remains. `done` gets its result once the commit is durable.
    pub fn write<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<R> + Send + 'static,
        done: impl FnOnce(Result<R>) + Send + 'static,
    ) {
        let queue = self.lock_writer().as_ref().map(|thread| thread.queue.clone());
        let job: Box<dyn Job> = Box::new(Write::new(closure, done));
        let refused = match queue {
            Some(queue) => queue.send(job).err().map(|e| e.0),
            None => Some(job),
        };
        if let Some(mut job) = refused {
            job.fail(Error::unavailable(format!("metadata database {} is closed", self.path.display())));
            job.finish(None);
        }
    }

    /// Writes and waits.
    ///
    /// # Errors
    /// Those of the closure and of the commit.
    pub fn write_sync<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let (answer, wait) = sync_channel(1);
        self.write(closure, move |result| {
            // The receiver waits below.
            let _ = answer.send(result);
        });
        wait.recv().unwrap_or_else(|_| Err(Error::internal("the metadata writer is gone")))
    }

    /// Refuses further writes and waits for the queued ones.
    pub fn close(&self) {
        let thread = self.lock_writer().take();
        if let Some(Thread { queue, handle }) = thread {
            drop(queue);
            // The writer catches every panic of what it runs.
            let _ = handle.join();
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock_writer(&self) -> std::sync::MutexGuard<'_, Option<Thread>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

/// A look at the last commit.
pub(crate) fn open_tree(database: &Database, path: &Path) -> Result<Tree> {
    use redb::ReadableDatabase;
    let unreadable = |e: redb::Error| {
        Error::unknown(format!("read metadata database {}: {e}", path.display())).with_source(e)
    };
    let tx = database.begin_read().map_err(|e| unreadable(e.into()))?;
    tx.open_table(ROWS).map_err(|e| unreadable(e.into()))
}

fn create_tree(database: &Database, path: &Path) -> Result<()> {
    if open_tree(database, path).is_ok() {
        return Ok(());
    }
    let failed = |e: redb::Error| {
        Error::unknown(format!("initialise metadata database {}: {e}", path.display())).with_source(e)
    };
    let tx = database.begin_write().map_err(|e| failed(e.into()))?;
    tx.open_table(ROWS).map(drop).map_err(|e| failed(e.into()))?;
    tx.commit().map_err(|e| failed(e.into()))
}

fn make_private(directory: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| Error::io("create directory", directory, e))
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
