//! The store, from the asynchronous side: short reads run in place, writes are queued and awaited.

use crate::gc::{Gone, Pressure};
use model::{Error, Result};
use std::sync::Arc;
use store::{ReadTx, Store, WriteTx};
use tokio::sync::{Semaphore, oneshot};

/// How many writes may wait at a time; fewer than the store's queue holds, so that queueing never blocks a thread.
const WRITES: usize = 1000;

/// The store and its queue.
pub(crate) struct Database {
    store: Arc<Store>,
    room: Arc<Semaphore>,
    pressure: Arc<Pressure>,
}

impl Database {
    pub(crate) fn new(store: Arc<Store>, pressure: Arc<Pressure>) -> Arc<Self> {
        Arc::new(Self { store, room: Arc::new(Semaphore::new(WRITES)), pressure })
    }

    /// Reads from a snapshot of the last commit. A read of cached rows takes microseconds, so it runs in place. Refused
    /// once the database is closed: another daemon may write to it by then, and who cleans up a disk must not go by less.
    pub(crate) fn read<R>(&self, closure: impl FnOnce(&ReadTx) -> Result<R>) -> Result<R> {
        if self.room.is_closed() {
            return Err(closed());
        }
        self.store.read(closure)
    }

    /// Runs a write; it is durable when this returns. It runs to its end even if the caller goes away.
    pub(crate) async fn write<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let pressure = self.pressure.clone();
        self.queue(closure, move || pressure.mutated()).await
    }

    /// A write that removes something; the collector hears of it when it is durable.
    pub(crate) async fn remove<R: Send + 'static>(
        &self,
        gone: Gone,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let pressure = self.pressure.clone();
        let noticed = move || {
            pressure.mutated();
            pressure.removed(gone);
        };
        self.queue(closure, noticed).await
    }

    /// The collector's own writes: they are no reason to collect.
    pub(crate) async fn write_unnoticed<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        self.queue(closure, || ()).await
    }

    /// Queues a write and waits for it; `committed` is called once it is durable, whoever is gone by then.
    async fn queue<R: Send + 'static>(
        &self,
        closure: impl FnOnce(&mut WriteTx<'_>) -> Result<R> + Send + 'static,
        committed: impl FnOnce() + Send + 'static,
    ) -> Result<R> {
        let room = self.room.clone().acquire_owned().await.map_err(|_| closed())?;
        let (answer, wait) = oneshot::channel();
        self.store.write(closure, move |result| {
            drop(room);
            if result.is_ok() {
                committed();
            }
            // Nobody may be waiting any more.
            let _ = answer.send(result);
        });
        wait.await.unwrap_or_else(|_| Err(Error::internal("the metadata writer is gone")))
    }

    /// Refuses further reads and writes, after the writes that wait.
    pub(crate) fn close(&self) {
        self.room.close();
        self.store.close();
    }
}

fn closed() -> Error {
    Error::unavailable("the metadata database is closed")
}
