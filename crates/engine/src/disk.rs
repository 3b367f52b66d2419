//! The fence between asynchronous callers and the synchronous disk.
//!
//! Behind a [`Gate`] blocking work runs on threads that may block. Every disk has a gate of its own, and so has every
//! kind of long work: one volume that hangs and one client that stalls hold up those who go through the same gate and
//! nobody else. At most [`LIMIT`] pieces of work are behind a gate at a time. Work behind the gate of a disk is short and
//! never waits for a channel or another gate; what streams bytes has another [`Pace`].
//!
//! A closure that has begun runs to its end and keeps its place until then, whatever becomes of the caller; [`to_end`]
//! gives the same promise to a sequence of steps.

use model::{Error, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio::time::timeout;

/// How many pieces of work are behind one gate at a time.
pub const LIMIT: usize = 48;
/// How long a caller waits for its turn.
pub(crate) const TURN: Duration = Duration::from_secs(15 * 60);

/// How long work behind a gate takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Some reads and writes; the slowest is the copy of a whole tree.
    Disk,
    /// A layer is packed or unpacked.
    Layer,
    /// As long as a client sends or takes bytes; the client's end is its end.
    Client,
}

impl Pace {
    /// After this time the caller is told that it takes too long.
    fn limit(self) -> Option<Duration> {
        match self {
            Pace::Disk => Some(Duration::from_secs(15 * 60)),
            Pace::Layer => Some(Duration::from_secs(4 * 3600)),
            Pace::Client => None,
        }
    }
}

/// The way to one disk, or to one kind of long work.
#[derive(Debug)]
pub struct Gate {
    name: String,
    room: Arc<Semaphore>,
    turn: Duration,
    limit: Option<Duration>,
}

impl Gate {
    /// A gate of its own for what the name says.
    pub fn new(name: impl Into<String>, pace: Pace) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(LIMIT));
        Arc::new(Self { name: name.into(), room, turn: TURN, limit: pace.limit() })
    }

    /// Runs blocking work; the step is for error texts.
    ///
    /// # Errors
    /// Those of the closure; `DeadlineExceeded` when its turn or its end does not come, `Internal` when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        step: &str,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = match timeout(self.turn, self.room.clone().acquire_owned()).await {
            Ok(permit) => permit.map_err(|_| Error::internal(format!("{}: {step}: closed", self.name)))?,
            Err(_) => {
                return Err(Error::deadline(format!(
                    "{}: {step}: waited {:?} for {LIMIT} others of which none ended; look at its disk and its clients",
                    self.name, self.turn
                )));
            }
        };
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permit);
            result
        });
        let ended = match self.limit {
            None => task.await,
            Some(limit) => match timeout(limit, task).await {
                Ok(ended) => ended,
                Err(_) => {
                    let text = format!("{}: {step}: not done after {limit:?}; look at its disk", self.name);
                    return Err(Error::deadline(text));
                }
            },
        };
        ended.unwrap_or_else(|e| Err(broken(&format!("{}: {step}", self.name), &e)))
    }
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
    use model::Kind;
    use std::sync::mpsc;

    /// A gate with little room and little patience.
    fn narrow() -> Arc<Gate> {
        let room = Arc::new(Semaphore::new(1));
        let short = Duration::from_millis(20);
        Arc::new(Gate { name: "store x".into(), room, turn: short, limit: Some(short) })
    }

    #[tokio::test]
    async fn work_goes_on_without_its_caller() {
        let gate = Gate::new("store x", Pace::Disk);
        let (go, wait) = mpsc::channel::<()>();
        let (done, finished) = tokio::sync::oneshot::channel();
        let work = gate.run("read", move || {
            wait.recv().map_err(|e| Error::unknown(e.to_string()))?;
            done.send(()).map_err(|()| Error::unknown("nobody waits"))
        });
        assert!(timeout(Duration::from_millis(20), work).await.is_err());
        go.send(()).expect("the work waits");
        finished.await.expect("the work came to its end");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let gate = Gate::new("store x", Pace::Disk);
        let error = gate.run::<()>("read", || panic!("on purpose")).await.expect_err("panicked");
        assert_eq!(error.kind(), Kind::Internal);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told_for_what() {
        let gate = narrow();
        let (go, wait) = mpsc::channel::<()>();
        let stuck = gate.run("open blob b", move || wait.recv().map_err(|e| Error::unknown(e.to_string())));
        let error = stuck.await.expect_err("hangs");
        assert_eq!(error.kind(), Kind::DeadlineExceeded);
        assert!(error.text().starts_with("store x: open blob b: not done after 20ms"), "{error}");
        // Its place is still taken.
        let error = gate.run("remove blob c", || Ok(())).await.expect_err("no room");
        assert!(error.text().starts_with("store x: remove blob c: waited 20ms for"), "{error}");
        go.send(()).expect("the work waits");
        let free = gate.room.acquire().await.expect("open");
        drop(free);
        gate.run("remove blob c", || Ok(())).await.expect("room again");
    }
}
