//! Init's exit is told once, and so is the task's deletion.
//!
//! A shim tells them itself when it can. It cannot when it is killed, and not while the daemon is away, and containerd's
//! ends now and then before it has told the deletion; then the daemon does. Both may happen: a shim repeats events that
//! did not get through, and its words may arrive when it is gone. So the first telling leaves a mark in memory, that of
//! the exit a file in the bundle as well, and later ones are dropped.
//!
//! Whoever tells does so under the lock: who finds that the exit has been told can rely on it.

use crate::bundle::Bundle;
use model::events::Event;
use model::{ContainerId, Result, Timestamp, tasks::Exit};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The file in the bundle.
const FILE: &str = ".exit-seen";

/// What has been told of a task's end, and what is known of init.
#[derive(Debug, Default)]
pub(crate) struct Exits {
    known: Mutex<Known>,
    /// Whether the deletion has been told. It changes under the lock only.
    deleted: watch::Sender<bool>,
}

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
    /// The deletion has been told as well: the bundle is rubbish that could not be removed.
    #[serde(default)]
    deleted: bool,
}

impl Exits {
    /// What an earlier daemon left in a bundle. A file that makes no sense is as good as none.
    ///
    /// # Errors
    /// There is a file that cannot be read.
    pub(crate) fn load(bundle: &Bundle) -> Result<Self> {
        let record = bundle.find(FILE)?.and_then(|text| serde_json::from_str::<Record>(&text).ok());
        let deleted = watch::Sender::new(record.as_ref().is_some_and(|record| record.deleted));
        let told = record.map(|record| Exit {
            id: String::new(),
            pid: record.pid,
            status: record.status,
            at: Timestamp { seconds: record.seconds, nanos: record.nanos },
        });
        let pid = told.as_ref().map_or(0, |exit| exit.pid);
        Ok(Self { known: Mutex::new(Known { pid, told, ..Known::default() }), deleted })
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

    /// Whether the deletion has been told.
    pub(crate) fn is_deleted(&self) -> bool {
        *self.deleted.borrow()
    }

    /// Waits until the deletion has been told.
    pub(crate) async fn deleted(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.deleted.subscribe().wait_for(|deleted| *deleted).await;
    }

    /// Tells an exit, unless it is init's and has been told already. The exit of another process is always news. The
    /// file is written meanwhile, on the disk's threads: a daemon that dies before it is there may tell the exit again
    /// after its restart.
    pub(crate) fn tell<T>(
        &self,
        exit: &Exit,
        bundle: Option<&Bundle>,
        tell: impl FnOnce() -> T,
    ) -> Option<T> {
        let mut known = self.lock();
        if known.pid == 0 || exit.pid == known.pid {
            if known.told.is_some() {
                return None;
            }
            known.told = Some(exit.clone());
            if let Some(bundle) = bundle.filter(|_| !known.closed) {
                let (record, bundle) = (Record::of(exit, false), bundle.clone());
                known.writing = Some(tokio::task::spawn_blocking(move || record.write(&bundle)));
            }
        }
        Some(tell())
    }

    /// Tells the deletion, unless it has been told already.
    pub(crate) fn tell_deletion<T>(&self, tell: impl FnOnce() -> T) -> Option<T> {
        let _known = self.lock();
        (!self.deleted.send_replace(true)).then(tell)
    }

    /// Tells of a task that is gone what nobody has told: init's exit if there was one, and the deletion.
    pub(crate) fn conclude(&self, id: &ContainerId, exit: &Exit, tell: impl Fn(Event)) {
        let mut known = self.lock();
        if self.deleted.send_replace(true) {
            return;
        }
        if known.told.is_none() && !exit.at.is_never() {
            known.told = Some(exit.clone());
            tell(Event::TaskExit { container_id: id.to_string(), exit: exit.clone() });
        }
        let exit = known.told.clone().unwrap_or_else(|| exit.clone());
        tell(Event::TaskDelete { container_id: id.to_string(), exit });
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

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes in a bundle that could not be removed that all has been told of its task, so that the next start is silent.
pub(crate) fn mark_deleted(bundle: &Bundle, exit: &Exit) {
    Record::of(exit, true).write(bundle);
}

impl Record {
    fn of(exit: &Exit, deleted: bool) -> Self {
        let Exit { pid, status, at, .. } = *exit;
        Self { pid, status, seconds: at.seconds, nanos: at.nanos, deleted }
    }

    fn write(&self, bundle: &Bundle) {
        let text = serde_json::to_vec(self).expect("numbers are JSON");
        if let Err(error) = bundle.write(FILE, &text, 0o600) {
            tracing::debug!(%error, "an exit is not noted in its bundle");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn exit(pid: u32, status: u32) -> Exit {
        Exit { id: String::new(), pid, status, at: Timestamp { seconds: 7, nanos: 8 } }
    }

    #[tokio::test]
    async fn told_once_also_after_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        let exits = Exits::load(&bundle).expect("load");
        exits.set_pid(5);
        let tell = |exits: &Exits, exit| exits.tell(&exit, Some(&bundle), || ()).is_some();
        assert!(tell(&exits, exit(6, 1)), "another process");
        assert!(exits.told().is_none());
        assert!(tell(&exits, exit(5, 3)), "init");
        assert!(!tell(&exits, exit(5, 137)), "init again");
        exits.close().await;
        let later = Exits::load(&bundle).expect("load");
        assert_eq!((later.told(), later.pid(), later.is_deleted()), (Some(exit(5, 3)), 5, false));
        assert!(!tell(&later, exit(5, 137)), "init after a restart");
    }

    #[tokio::test]
    async fn nothing_is_written_into_the_bundle_of_the_next() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        let exits = Exits::default();
        exits.close().await;
        assert!(exits.tell(&exit(5, 3), Some(&bundle), || ()).is_some());
        exits.close().await;
        assert!(!dir.path().join(FILE).exists());
    }

    #[test]
    fn what_the_shim_has_not_told() {
        let never = Exit { at: Timestamp::NEVER, ..exit(5, 0) };
        for (exit_told, deletion_told, end, expected) in [
            (None, false, exit(5, 3), vec![("/tasks/exit", 3), ("/tasks/delete", 3)]),
            (Some(4), false, exit(5, 3), vec![("/tasks/delete", 4)]),
            (Some(4), true, exit(5, 3), vec![]),
            (None, false, never, vec![("/tasks/delete", 0)]),
        ] {
            let exits = Exits::default();
            exits.set_pid(5);
            exit_told.and_then(|status| exits.tell(&exit(5, status), None, || ()));
            assert_eq!(deletion_told, deletion_told && exits.tell_deletion(|| ()).is_some());
            let told = RefCell::new(Vec::new());
            let tell = |event: Event| match &event {
                Event::TaskExit { exit, .. } | Event::TaskDelete { exit, .. } => {
                    told.borrow_mut().push((event.topic(), exit.status));
                }
                other => panic!("{other:?}"),
            };
            let id = ContainerId::new("a").expect("id");
            exits.conclude(&id, &end, tell);
            exits.conclude(&id, &end, tell);
            assert!(exits.tell_deletion(|| ()).is_none() && exits.is_deleted());
            assert_eq!(told.into_inner(), expected);
        }
    }

    #[test]
    fn a_bundle_that_is_left_is_silent() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        mark_deleted(&bundle, &exit(5, 3));
        let exits = Exits::load(&bundle).expect("load");
        assert_eq!((exits.told(), exits.is_deleted()), (Some(exit(5, 3)), true));
    }
}
