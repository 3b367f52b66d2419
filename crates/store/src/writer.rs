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
    /// Tells the caller; `failed` is the commit's error, if it concerns this write.
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
        let result = match (failed, self.result) {
            (Some(failed), _) => Err(Error::new(failed.kind(), failed.text())),
            (None, Some(result)) => result,
            (None, None) => Err(Error::internal("the write did not run")),
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
        let mut ran = Ran::default();
        let mut failed = None;
        match self.opened.tree() {
            Ok(tree) => {
                for job in &mut group {
                    ran.run(job.as_mut(), &tree, &mut changes);
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
            && !ran.events.is_empty()
            && let Some(sink) = self.sink.get()
        {
            // A sink that panics loses its events, not the writer.
            let _ = catch_unwind(AssertUnwindSafe(|| sink(std::mem::take(&mut ran.events))));
        }
        ran.answer(group, failed.as_ref());
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

/// How the writes of a group ran.
#[derive(Default)]
struct Ran {
    events: Vec<Happened>,
    /// Whether a write was kept.
    kept: bool,
    /// How many failed before that: what they saw is true whatever becomes of the commit.
    alone: usize,
}

impl Ran {
    fn run(&mut self, job: &mut dyn Job, tree: &Tree, changes: &mut Changes) {
        let mut tx = WriteTx::new(tree, changes);
        match catch_unwind(AssertUnwindSafe(|| job.run(&mut tx))) {
            Ok(true) => {
                self.events.append(&mut tx.keep());
                self.kept = true;
            }
            Ok(false) => tx.take_back(),
            Err(_) => {
                tx.take_back();
                job.fail(Error::internal("a metadata write panicked"));
            }
        }
        if !self.kept {
            self.alone += 1;
        }
    }

    /// Tells the callers. After the first write that was kept all have seen what the commit was to make true.
    fn answer(&self, group: Vec<Box<dyn Job>>, failed: Option<&Error>) {
        for (at, job) in group.into_iter().enumerate() {
            let failed = failed.filter(|_| at >= self.alone);
            let _ = catch_unwind(AssertUnwindSafe(|| job.finish(failed)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Table;
    use std::sync::Mutex;

    #[test]
    fn who_saw_what_never_became_true_hears_of_it() {
        let directory = tempfile::tempdir().expect("temp dir");
        let opened = Opened::open(&directory.path().join("meta.redb")).expect("fresh");
        let answers: Arc<Mutex<Vec<String>>> = Arc::default();
        let job = |fails: bool| -> Box<dyn Job> {
            let answers = answers.clone();
            let closure = move |tx: &mut WriteTx<'_>| {
                tx.mark(Table::Lease, &["x"]);
                if fails { Err(Error::unknown("own")) } else { Ok(()) }
            };
            let done = move |result: Result<()>| {
                let text = result.map_or_else(|e| e.text().to_owned(), |()| "done".to_owned());
                answers.lock().expect("lock").push(text);
            };
            Box::new(Write::new(closure, done))
        };
        let mut group = vec![job(true), job(false), job(true)];
        let (mut ran, mut changes) = (Ran::default(), Changes::new());
        let tree = opened.tree().expect("tree");
        group.iter_mut().for_each(|job| ran.run(job.as_mut(), &tree, &mut changes));
        ran.answer(group, Some(&Error::unknown("commit")));
        assert_eq!(*answers.lock().expect("lock"), ["own", "commit", "commit"]);
    }
}
