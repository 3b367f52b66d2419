//! The writer: one thread that groups waiting writes into one durable commit.

use crate::Happened;
use crate::opened::{Opened, ROWS};
use crate::tx::{Changes, Tree, WriteTx};
use model::{Error, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};

/// Where events go after the commit that made them true.
pub(crate) type Sink = Arc<OnceLock<Box<dyn Fn(Vec<Happened>) + Send + Sync>>>;

/// How many writes share a commit at most.
const GROUP: usize = 256;

/// A queued write.
pub(crate) trait Job: Send {
    /// Runs the closure. `false` when it failed and its changes are to be taken back.
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool;
    /// The closure panicked: its result is this error.
    fn fail(&mut self, error: Error);
    /// Tells the caller; `failed` is the commit's error, if it had one.
    fn finish(self: Box<Self>, failed: Option<&Error>);
}

/// A closure, its result and whoever waits for it.
pub(crate) struct Write<F, R, D> {
    closure: Option<F>,
    result: Option<Result<R>>,
    done: D,
}

impl<F, R, D> Write<F, R, D> {
    pub(crate) fn new(closure: F, done: D) -> Self {
        Self { closure: Some(closure), result: None, done }
    }
}

impl<F, R, D> Job for Write<F, R, D>
where
    F: FnOnce(&mut WriteTx<'_>) -> Result<R> + Send,
    R: Send,
    D: FnOnce(Result<R>) + Send,
{
    fn run(&mut self, tx: &mut WriteTx<'_>) -> bool {
        let Some(closure) = self.closure.take() else { return false };
        let result = closure(tx);
        let kept = result.is_ok();
        self.result = Some(result);
        kept
    }

    fn fail(&mut self, error: Error) {
        self.result = Some(Err(error));
    }

    fn finish(self: Box<Self>, failed: Option<&Error>) {
        let result = match (self.result, failed) {
            (Some(Ok(_)), Some(failed)) => Err(Error::new(failed.kind(), failed.text())),
            (Some(result), _) => result,
            (None, _) => Err(Error::internal("the write did not run")),
        };
        (self.done)(result);
    }
}

/// The writer's thread: what it needs, and nothing shared but the database.
pub(crate) struct Writer {
    pub(crate) opened: Arc<Opened>,
    pub(crate) queue: Receiver<Box<dyn Job>>,
    pub(crate) sink: Sink,
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(crate) fn run(self) {
        while let Ok(first) = self.queue.recv() {
            let waiting = std::iter::once(first).chain(self.queue.try_iter()).take(GROUP).collect();
            self.commit_group(waiting);
        }
    }

    fn commit_group(&self, mut group: Vec<Box<dyn Job>>) {
        let mut changes = Changes::new();
        let mut events = Vec::new();
        let mut failed = None;
        match self.opened.tree() {
            Ok(tree) => {
                for job in &mut group {
                    events.append(&mut run_one(job.as_mut(), &tree, &mut changes));
                }
                drop(tree);
                let step = kernel::trace::begin();
                failed = self.commit(changes).err();
                step.end("store.commit", "");
                match failed {
                    Some(_) => self.opened.renew(),
                    None => self.opened.back(),
                }
            }
            Err(error) => group.iter_mut().for_each(|job| job.fail(Error::new(error.kind(), error.text()))),
        }
        if failed.is_none()
            && !events.is_empty()
            && let Some(sink) = self.sink.get()
        {
            // A sink that panics loses its events, not the writer.
            let _ = catch_unwind(AssertUnwindSafe(|| sink(events)));
        }
        for job in group {
            let _ = catch_unwind(AssertUnwindSafe(|| job.finish(failed.as_ref())));
        }
    }

    fn commit(&self, changes: Changes) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let failed = |e: redb::Error| self.opened.failed("write", e);
        let tx = self.opened.begin_write()?;
        {
            let mut table = tx.open_table(ROWS).map_err(|e| failed(e.into()))?;
            for (key, value) in &changes {
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice()).map(drop),
                    None => table.remove(key.as_slice()).map(drop),
                }
                .map_err(|e| failed(e.into()))?;
            }
        }
        tx.commit().map_err(|e| failed(e.into()))
    }
}

fn run_one(job: &mut dyn Job, tree: &Tree, changes: &mut Changes) -> Vec<Happened> {
    let mut tx = WriteTx::new(tree, changes);
    match catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))) {
        Ok(true) => tx.keep(),
        Ok(false) => {
            tx.take_back();
            Vec::new()
        }
        Err(_) => {
            tx.take_back();
            job.fail(Error::internal("a metadata write panicked"));
            Vec::new()
        }
    }
}
