//! Init's exit is told once.
//!
//! A shim tells it itself when it can. It cannot when it is killed, and not while the daemon is away; then the daemon
//! does. Both may happen: a shim repeats events that did not get through. So the first telling leaves a mark in memory
//! and a file in the bundle, and later ones are dropped.

use crate::bundle::Bundle;
use model::{Timestamp, tasks::Exit};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file in the bundle.
const FILE: &str = ".exit-seen";

/// What has been told of init's exit, and what is known of init.
#[derive(Debug, Default)]
pub(crate) struct Exits(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    pid: u32,
    told: Option<Exit>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    pid: u32,
    status: u32,
    seconds: i64,
    nanos: u32,
}

impl Exits {
    /// What an earlier daemon left in a bundle.
    pub(crate) fn load(bundle: &Bundle) -> Self {
        let record = bundle.find(FILE).and_then(|text| serde_json::from_str::<Record>(&text).ok());
        let told = record.map(|record| Exit {
            id: String::new(),
            pid: record.pid,
            status: record.status,
            at: Timestamp { seconds: record.seconds, nanos: record.nanos },
        });
        Self(Mutex::new(Known { pid: told.as_ref().map_or(0, |exit| exit.pid), told }))
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
    /// process is always news.
    pub(crate) fn note(&self, exit: &Exit, bundle: &Bundle) -> bool {
        let mut known = self.lock();
        if known.pid != 0 && exit.pid != known.pid {
            return true;
        }
        if known.told.is_some() {
            return false;
        }
        known.told = Some(exit.clone());
        let record =
            Record { pid: exit.pid, status: exit.status, seconds: exit.at.seconds, nanos: exit.at.nanos };
        let text = serde_json::to_vec(&record).expect("numbers are JSON");
        // Under the lock, so that the file is written once. Without a file a restarted daemon may tell it again.
        if let Err(error) = bundle.write(FILE, &text, 0o600) {
            tracing::debug!(%error, "an exit is not noted in its bundle");
        }
        true
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_once_also_after_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        let exit =
            |pid, status| Exit { id: String::new(), pid, status, at: Timestamp { seconds: 7, nanos: 8 } };
        let exits = Exits::load(&bundle);
        exits.set_pid(5);
        assert!(exits.note(&exit(6, 1), &bundle), "another process");
        assert!(exits.told().is_none());
        assert!(exits.note(&exit(5, 3), &bundle), "init");
        assert!(!exits.note(&exit(5, 137), &bundle), "init again");
        let later = Exits::load(&bundle);
        assert_eq!((later.told(), later.pid()), (Some(exit(5, 3)), 5));
        assert!(!later.note(&exit(5, 137), &bundle), "init after a restart");
    }
}
