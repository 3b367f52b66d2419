//! One task's shim, as the daemon knows it.
//!
//! ```text
//!            Tasks.Delete, or the connection is lost
//!   Live ─────────────────────────────────────────────▶ Leaving ──cleaned up──▶ Gone
//! ```
//!
//! Exactly one party takes a shim from `Live` to `Leaving`, and that one cleans up: the request that deleted the task,
//! or the shim's owner, the task below that watches the connection. The owner also copies the shim's log. Nothing here
//! waits for a shim without a deadline, and nothing is shared between shims but the table of their names.

use crate::bundle::Bundle;
use crate::connect::{Call, Channel, Failure};
use crate::exits::Exits;
use crate::log::Log;
use crate::shims::{Inner, blocking};
use crate::waits::Waits;
use model::tasks::Exit;
use model::{ContainerId, Namespace, Timestamp};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;
use wire::api::task_v3::{ShutdownRequest, task_methods};

/// The exit status of an init whose shim died and could not be cleaned up after.
const LOST: u32 = 255;

/// How far a shim's life has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It serves.
    Live,
    /// Somebody cleans up.
    Leaving,
    /// Nothing is left of it.
    Gone,
}

/// A shim that serves one task.
#[derive(Debug)]
pub(crate) struct Shim {
    pub(crate) namespace: Namespace,
    pub(crate) id: ContainerId,
    pub(crate) bundle: Bundle,
    /// The binary to clean up with; `None` for a task in a sandbox' shim.
    pub(crate) binary: Option<PathBuf>,
    pub(crate) channel: Channel,
    /// The address of its socket: several tasks may share one.
    pub(crate) address: String,
    pub(crate) exits: Arc<Exits>,
    pub(crate) waits: Waits,
    pub(crate) life: watch::Sender<Life>,
}

impl Shim {
    /// Whether it serves.
    pub(crate) fn is_live(&self) -> bool {
        *self.life.borrow() == Life::Live
    }

    /// Takes it from `Live` to `Leaving`; false when another party has done so.
    pub(crate) fn leave(&self) -> bool {
        self.life.send_if_modified(|life| match life {
            Life::Live => {
                *life = Life::Leaving;
                true
            }
            Life::Leaving | Life::Gone => false,
        })
    }

    /// Waits until nothing is left of it.
    pub(crate) async fn gone(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.life.subscribe().wait_for(|life| *life == Life::Gone).await;
    }

    /// The name under which log lines go.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.namespace, self.id)
    }

    /// Asks the shim to end, and waits until it has: until then its socket would take in a new task of the same id. A
    /// shim that serves other tasks stays.
    pub(crate) async fn shut_down(&self, inner: &Inner) {
        let request = ShutdownRequest { id: self.id.to_string(), now: false };
        let limit = inner.setup.limits.shutdown;
        let call =
            Call { method: task_methods::SHUTDOWN, request: &request, limit: Some(limit), probes: false };
        match self.channel.call::<_, ()>(call).await {
            Ok(_) | Err(Failure::Closed) => {}
            Err(Failure::Refused(error)) => {
                tracing::warn!(task = self.label(), %error, "shim shutdown");
                return;
            }
        }
        if !inner.table.is_shared(self) && tokio::time::timeout(limit, self.channel.closed()).await.is_err() {
            tracing::debug!(task = self.label(), "the shim goes on after its shutdown");
        }
    }
}

/// Owns a shim: copies its log, and cleans up when the connection is lost.
pub(crate) async fn own(inner: Arc<Inner>, shim: Arc<Shim>, log: Option<Log>) {
    match log {
        None => shim.channel.closed().await,
        Some(mut log) => {
            tokio::select! {
                () = shim.channel.closed() => {}
                never = log.pump() => match never {},
            }
            log.drain();
        }
    }
    if shim.leave() {
        tracing::info!(task = shim.label(), "shim disconnected");
        inner.bury(&shim).await;
    }
}

impl Inner {
    /// Cleans up after a dead shim and tells what became of its task. The shim is `Leaving`.
    pub(crate) async fn bury(&self, shim: &Arc<Shim>) {
        let Shim { namespace, id, bundle, binary, exits, .. } = &**shim;
        let cleaned =
            self.clean_up(Dead { task: (namespace, id), bundle, binary: binary.as_deref(), exits }).await;
        if !exits.is_deleted() {
            // Its own words may still be on their way.
            self.departed.add(shim);
        }
        self.table.remove(namespace, id);
        self.conclude(shim, &cleaned.exit);
        if cleaned.left {
            self.mark_deleted(bundle, &cleaned.exit);
        }
        shim.life.send_replace(Life::Gone);
    }

    /// Runs `<shim> delete` and removes the bundle. When that fails the bundle stays for the next start, and nothing is
    /// known of the exit but that there was one.
    pub(crate) async fn clean_up(&self, dead: Dead<'_>) -> Cleaned {
        let (namespace, id) = dead.task;
        let task = format!("{namespace}/{id}");
        let lost = || Exit { id: String::new(), pid: dead.exits.pid(), status: LOST, at: now() };
        let exit = match dead.binary {
            None => Ok(lost()),
            Some(binary) => self.binaries.delete((namespace, id), binary, dead.bundle).await,
        };
        // A shim that told the exit with its last breath may have its file written now.
        dead.exits.close().await;
        let exit = match exit {
            Ok(exit) => exit,
            Err(error) => {
                tracing::error!(task, %error, "failed to clean up after shim disconnected");
                return Cleaned { exit: dead.exits.told().unwrap_or_else(lost), left: true };
            }
        };
        let bundle = dead.bundle.clone();
        let hidden = blocking(move || bundle.hide()).await;
        let left = hidden.is_err();
        match hidden {
            Ok(hidden) => self.remove_later(hidden),
            Err(error) => tracing::error!(task, %error, "failed to delete bundle"),
        }
        let exit = match exit.at.is_never() {
            true => Exit { at: now(), ..exit },
            false => exit,
        };
        Cleaned { exit: dead.exits.told().unwrap_or(exit), left }
    }
}

/// What is known of a task that has been cleaned up after.
pub(crate) struct Cleaned {
    /// The exit that has been told, or is to be told.
    pub(crate) exit: Exit,
    /// The bundle is still there.
    pub(crate) left: bool,
}

/// A task whose shim is dead.
pub(crate) struct Dead<'a> {
    pub(crate) task: (&'a Namespace, &'a ContainerId),
    pub(crate) bundle: &'a Bundle,
    pub(crate) binary: Option<&'a Path>,
    pub(crate) exits: &'a Exits,
}

/// The time now.
fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}
