//! Init's exit is told once.
//!
//! A shim tells it itself when it can. It cannot when it is killed, and not while the daemon is away; then the daemon
//! does. Both may happen: a shim repeats events that did not get through. So the first telling leaves a mark in memory
//! and a file in the bundle, and later ones are dropped.

use crate::bundle::Bundle;
use model::{Result, Timestamp, tasks::Exit};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::task::JoinHandle;

/// The file in the bundle.
const FILE: &str = ".exit-seen";

/// What has been told of init's exit, and what is known of init.
#[derive(Debug, Default)]
pub(crate) struct Exits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    pid: u32,
    told: Option<Exit>,
    /// The file being written.
    writing: Option<JoinHandle<()>>,
    /// Nothing may be written any more: another task's bundle may come to lie there.
    closed: bool,
}

#[derive(Serialize, Deserialize)]
struct Record {
    pid: u32,
    status: u32,
    seconds: i64,
    nanos: u32,
}

impl Exits {
    /// What an earlier daemon left in a bundle. A file that makes no sense is as good as none.
    ///
    /// # Errors
    /// There is a file that cannot be read.
    pub(crate) fn load(bundle: &Bundle) -> Result<Self> {
        let record = bundle.find(FILE)?.and_then(|text| serde_json::from_str::<Record>(&text).ok());
        let told = record.map(|record| Exit {
            id: String::new(),
            pid: record.pid,
            status: record.status,
            at: Timestamp { seconds: record.seconds, nanos: record.nanos },
        });
        let pid = told.as_ref().map_or(0, |exit| exit.pid);
        Ok(Self(Mutex::new(Known { pid, told, ..Known::default() })))
    }

    /// Init's pid is known now.
    pub(crate) fn set_pid(&self, pid: u32) {
        self.lock().pid = pid;
    }

    /// Init's pid; 0 before it is known.
    pub(crate) fn pid(&self) -> u32 {
        self.lock().pid
    }

    /// The exit that has been told.
    pub(crate) fn told(&self) -> Option<Exit> {
        self.lock().told.clone()
    }

    /// Takes note of an exit that is about to be told; false when init's has been told already. The exit of another
    /// process is always news. The file is written meanwhile, on the disk's threads: a daemon that dies before it is
    /// there may tell the exit again after its restart.
    pub(crate) fn note(&self, exit: &Exit, bundle: &Bundle) -> bool {
        let mut known = self.lock();
        if known.pid != 0 && exit.pid != known.pid {
            return true;
        }
        if known.told.is_some() {
            return false;
        }
        known.told = Some(exit.clone());
        if !known.closed {
            let (exit, bundle) = (exit.clone(), bundle.clone());
            known.writing = Some(tokio::task::spawn_blocking(move || write(&exit, &bundle)));
        }
        true
    }

    /// Ends the writing of the file: it is there or never will be.
    pub(crate) async fn close(&self) {
        let writing = {
            let mut known = self.lock();
            known.closed = true;
            known.writing.take()
        };
        if let Some(writing) = writing {
            // A write that panicked has written nothing more either.
            let _ = writing.await;
        }
    }

    /// Takes note of the exit of an init whose shim is gone, without a file; false when it has been told already.
    pub(crate) fn settle(&self, exit: &Exit) -> bool {
        let mut known = self.lock();
        let first = known.told.is_none();
        known.told.get_or_insert_with(|| exit.clone());
        first
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(exit: &Exit, bundle: &Bundle) {
    let record =
        Record { pid: exit.pid, status: exit.status, seconds: exit.at.seconds, nanos: exit.at.nanos };
    let text = serde_json::to_vec(&record).expect("numbers are JSON");
    if let Err(error) = bundle.write(FILE, &text, 0o600) {
        tracing::debug!(%error, "an exit is not noted in its bundle");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(pid: u32, status: u32) -> Exit {
        Exit { id: String::new(), pid, status, at: Timestamp { seconds: 7, nanos: 8 } }
    }

    #[tokio::test]
    async fn told_once_also_after_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        let exits = Exits::load(&bundle).expect("load");
        exits.set_pid(5);
        assert!(exits.note(&exit(6, 1), &bundle), "another process");
        assert!(exits.told().is_none());
        assert!(exits.note(&exit(5, 3), &bundle), "init");
        assert!(!exits.note(&exit(5, 137), &bundle), "init again");
        exits.close().await;
        let later = Exits::load(&bundle).expect("load");
        assert_eq!((later.told(), later.pid()), (Some(exit(5, 3)), 5));
        assert!(!later.note(&exit(5, 137), &bundle), "init after a restart");
    }

    #[tokio::test]
    async fn nothing_is_written_into_the_bundle_of_the_next() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        let exits = Exits::default();
        exits.close().await;
        assert!(exits.note(&exit(5, 3), &bundle));
        exits.close().await;
        assert!(!dir.path().join(FILE).exists());
    }
}
