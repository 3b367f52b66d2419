//! What has happened since the last run that speaks for another.

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

    /// Something was removed that may have held other things.
    pub(crate) fn removed(&self) {
        self.deletions.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// A blob's row went, or its bytes have none.
    pub(crate) fn content_removed(&self) {
        self.lock().content = true;
        self.removed();
    }

    /// A snapshot's row went, or its directory has none.
    pub(crate) fn snapshots_removed(&self, snapshotter: &str) {
        self.lock().snapshotters.insert(snapshotter.to_owned());
        self.removed();
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

    /// A clean-up failed: its disks are dirty still.
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
