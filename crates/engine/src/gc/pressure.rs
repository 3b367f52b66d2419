//! What has happened since the last run that speaks for another.

use model::{Error, Result};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Which disks may have things without a row.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    /// Every disk: the first run after a start.
    pub(crate) all: bool,
    /// Blobs and ingests.
    pub(crate) content: bool,
    /// The directories of these snapshotters.
    pub(crate) snapshotters: BTreeSet<String>,
}

impl Dirty {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        !self.all && !self.content && self.snapshotters.is_empty()
    }
}

/// What is gone.
#[derive(Debug)]
pub(crate) enum Gone {
    /// A row that may have held others.
    Holder,
    /// The row of a blob or an ingest.
    Content,
    /// The row of a snapshot of this snapshotter.
    Snapshot(String),
}

/// What a clean-up of one disk did.
#[derive(Debug, Default)]
pub(crate) struct Cleaned {
    /// Things removed.
    pub(crate) removed: usize,
    /// Things without a row that somebody works on: the disk stays dirty.
    pub(crate) claimed: usize,
    /// Things that could not be removed: the disk stays dirty.
    pub(crate) failed: usize,
    /// Why the first of them could not.
    pub(crate) error: Option<Error>,
}

impl Cleaned {
    /// A thing was removed, or not. One that was gone already is neither.
    pub(crate) fn note(&mut self, removed: Result<()>) {
        match removed {
            Ok(()) => self.removed += 1,
            Err(e) if e.is_not_found() => {}
            Err(e) => {
                self.failed += 1;
                self.error.get_or_insert(e);
            }
        }
    }
}

/// Counts of changes since the last run, and the disks they left dirty.
#[derive(Debug, Default)]
pub struct Pressure {
    mutations: AtomicU64,
    deletions: AtomicU64,
    dirty: Mutex<Dirty>,
    changed: Notify,
}

impl Pressure {
    /// No pressure but that nothing is known of the disks yet.
    pub(crate) fn at_start() -> Self {
        let dirty = Dirty { all: true, ..Dirty::default() };
        Self { dirty: Mutex::new(dirty), ..Self::default() }
    }

    /// A write was committed.
    pub(crate) fn mutated(&self) {
        self.mutations.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Something is gone that may have held other things or left some without a row. Called when readers see it gone:
    /// a run that looked earlier would take the disk for clean.
    pub(crate) fn removed(&self, gone: Gone) {
        match gone {
            Gone::Holder => {}
            Gone::Content => self.lock().content = true,
            Gone::Snapshot(snapshotter) => drop(self.lock().snapshotters.insert(snapshotter)),
        }
        self.deletions.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Whether a run has something to do.
    pub(crate) fn asks_for_run(&self, mutation_threshold: u64) -> bool {
        self.deletions() > 0
            || (mutation_threshold > 0 && self.mutations.load(Ordering::Relaxed) >= mutation_threshold)
    }

    /// The removals since the last run.
    pub(crate) fn deletions(&self) -> u64 {
        self.deletions.load(Ordering::Relaxed)
    }

    /// Waits for the next change.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A run begins: what happens from here on counts for the next.
    pub(crate) fn start_over(&self) {
        self.mutations.store(0, Ordering::Relaxed);
        self.deletions.store(0, Ordering::Relaxed);
    }

    /// The disks to clean up; they count as clean from here on.
    pub(crate) fn take_dirty(&self) -> Dirty {
        std::mem::take(&mut *self.lock())
    }

    /// These disks are dirty still.
    pub(crate) fn put_back(&self, dirty: Dirty) {
        let mut now = self.lock();
        now.all |= dirty.all;
        now.content |= dirty.content;
        now.snapshotters.extend(dirty.snapshotters);
    }

    fn lock(&self) -> MutexGuard<'_, Dirty> {
        self.dirty.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
