//! The store: reading the database, queueing writes.

use crate::opened::Opened;
use crate::tx::{ReadTx, WriteTx};
use crate::writer::{Job, Sink, Write, Writer};
use crate::{Happened, migrations};
use model::{Error, Result};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

/// How many writes may wait; the next caller waits for room.
const QUEUE: usize = 1024;

/// The metadata database. Dropping it waits for the writes that are queued.
pub struct Store {
    opened: Arc<Opened>,
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
        let opened = Arc::new(Opened::open(path)?);
        let sink: Sink = Arc::new(OnceLock::new());
        let (queue, waiting) = sync_channel(QUEUE);
        let writer = Writer { opened: opened.clone(), queue: waiting, sink: sink.clone() };
        let handle = std::thread::Builder::new()
            .name(String::from("metadata"))
            .spawn(move || writer.run())
            .map_err(|e| Error::io("start the writer of", path, e))?;
        let store = Self { opened, writer: Mutex::new(Some(Thread { queue, handle })), sink };
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
        closure(&ReadTx::new(self.opened.tree()?))
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
            job.fail(Error::unavailable(format!("metadata database {} is closed", self.path().display())));
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
        self.opened.path()
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

fn make_private(directory: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| Error::io("create directory", directory, e))
}
