//! The fence between asynchronous callers and the synchronous disk.
//!
//! [`disk`] runs a closure on a thread that may block. At most [`LIMIT`] run at a time, so that a slow disk holds up
//! its own users and not the whole daemon's memory. A closure that has begun runs to its end, whatever becomes of the
//! caller; [`to_end`] gives the same promise to a sequence of steps.

use model::{Error, Result};
use tokio::sync::Semaphore;
use tokio::task::JoinError;

/// How many closures run at a time.
pub const LIMIT: usize = 48;

static PERMITS: Semaphore = Semaphore::const_new(LIMIT);

/// Runs blocking work on a disk.
///
/// # Errors
/// Those of the closure; `Internal` when it panicked.
pub async fn disk<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let permit = PERMITS.acquire().await.map_err(|_| Error::internal("the disk's queue is closed"))?;
    let task = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    task.await.unwrap_or_else(|e| Err(broken("disk work", &e)))
}

/// Runs a sequence of steps to its end even when the caller goes away in between.
///
/// # Errors
/// Those of the steps; `Internal` when one panicked.
pub async fn to_end<T: Send + 'static>(steps: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(steps).await.unwrap_or_else(|e| Err(broken("request", &e)))
}

fn broken(what: &str, error: &JoinError) -> Error {
    Error::internal(format!("{what} ended early: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn work_goes_on_without_its_caller() {
        let (go, wait) = mpsc::channel::<()>();
        let (done, finished) = tokio::sync::oneshot::channel();
        let work = disk(move || {
            wait.recv().map_err(|e| Error::unknown(e.to_string()))?;
            done.send(()).map_err(|()| Error::unknown("nobody waits"))
        });
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), work).await.is_err());
        go.send(()).expect("the work waits");
        finished.await.expect("the work came to its end");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = disk::<()>(|| panic!("on purpose")).await.expect_err("panicked");
        assert_eq!(error.kind(), model::Kind::Internal);
    }
}
