//! All shims of a daemon.

use crate::bundle::{Bundle, Hidden};
use crate::create::Making;
use crate::departed::Departed;
use crate::exits::{self, Exits};
use crate::log::Log;
use crate::reload::{Missed, Records, Reloaded, Told};
use crate::resolve::Resolver;
use crate::setup::Setup;
use crate::shim::{self, Shim};
use crate::start::Binaries;
use crate::table::Table;
use crate::task::Handle;
use async_trait::async_trait;
use model::events::{Envelope, Event};
use model::plugins::Runtimes;
use model::tasks::{Create, Exit, Runtime, Task};
use model::{Any, Error, Namespace, Result, Scope, containers::Container};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use wire::api::event::{TaskDelete, TaskExit};
use wire::api::{task_v3::DeleteResponse, types::RuntimeRequest};

/// Takes the events that the daemon itself tells of tasks. It must not block.
pub type Sink = Arc<dyn Fn(&Namespace, Event) + Send + Sync>;

/// The topic of the event that a process has ended.
const EXIT: &str = "/tasks/exit";
/// The topic of the event that a task has been deleted.
const DELETE: &str = "/tasks/delete";

/// All shims of a daemon: the implementation of [`Runtime`].
#[derive(Clone)]
pub struct Shims {
    inner: Arc<Inner>,
}

/// What the parts of this crate share.
pub(crate) struct Inner {
    pub(crate) setup: Arc<Setup>,
    pub(crate) resolver: Resolver,
    pub(crate) binaries: Binaries,
    pub(crate) table: Table,
    pub(crate) departed: Departed,
    /// What is still to be told of the time without a daemon; `None` once it has been told.
    pub(crate) missed: Mutex<Option<Vec<Missed>>>,
    sink: Sink,
    /// Owners of shims, and requests that run to their end without their caller.
    work: Mutex<JoinSet<()>>,
    /// Bundles that are being removed or marked though nobody waits for it.
    removals: Mutex<JoinSet<()>>,
    /// Becomes true when the daemon is about to stop.
    pub(crate) stopping: watch::Sender<bool>,
}

impl Shims {
    /// No shims yet. Nothing is touched on the disk.
    pub fn new(setup: Setup, sink: Sink) -> Self {
        let setup = Arc::new(setup);
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self {
            inner: Arc::new(Inner {
                resolver: Resolver::new(&setup.executable, &path),
                binaries: Binaries::new(Arc::clone(&setup)),
                setup,
                table: Table::default(),
                departed: Departed::default(),
                missed: Mutex::new(Some(Vec::new())),
                sink,
                work: Mutex::default(),
                removals: Mutex::default(),
                stopping: watch::Sender::new(false),
            }),
        }
    }

    /// Finds the shims of an earlier daemon again, and cleans up after those that are gone. To be called once, before
    /// any request is served. What happened in between is told by [`Shims::announce`].
    ///
    /// # Errors
    /// When the directory of the bundles cannot be read.
    pub async fn reload(&self, records: Arc<dyn Records>) -> Result<Reloaded> {
        Arc::clone(&self.inner).reload(records).await
    }

    /// Tells the exits that happened while the daemon was away, each once. To be called when somebody listens: until
    /// then an exit is neither told nor noted as told, so that a daemon that dies first takes nothing along.
    pub fn announce(&self) {
        self.inner.announce();
    }

    /// Must see every envelope that a shim forwards, and passes it on with `on`. `None` when it is not to be passed on:
    /// it is an exit or a deletion that has been told already, or an exit that waits for [`Shims::announce`].
    ///
    /// `on` must not block, nor call this crate.
    pub fn pass<T>(&self, envelope: Envelope, on: impl FnOnce(Envelope) -> T) -> Option<T> {
        match Last::of(&envelope) {
            Some(Last::Exit { id, exit }) => match self.inner.find(&envelope.namespace, &id, exit.pid) {
                Some(Found::Shim(shim)) if self.inner.keep(&shim, &exit) == Told::Later => None,
                Some(Found::Shim(shim)) => shim.exits.tell(&exit, Some(&shim.bundle), || on(envelope)),
                Some(Found::Departed(exits)) => exits.tell(&exit, None, || on(envelope)),
                None => Some(on(envelope)),
            },
            Some(Last::Deletion { id, pid }) => match self.inner.find(&envelope.namespace, &id, pid) {
                Some(Found::Shim(shim)) => shim.exits.tell_deletion(|| on(envelope)),
                Some(Found::Departed(exits)) => exits.tell_deletion(|| on(envelope)),
                None => Some(on(envelope)),
            },
            None => Some(on(envelope)),
        }
    }

    /// A line for each task, for people.
    pub fn overview(&self) -> Vec<String> {
        self.inner.table.overview()
    }

    /// Ends what has no end of its own: whoever waits for an exit is told that the daemon is not available.
    pub fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    /// Lets go of all shims, then waits for what is still to be written or removed: a caller who will not wait for a
    /// disk drops this. Shims and their containers live on.
    pub async fn close(&self) {
        let mut work = std::mem::take(&mut *self.inner.work.lock().unwrap_or_else(PoisonError::into_inner));
        work.shutdown().await;
        for shim in self.inner.table.take() {
            shim.exits.close().await;
        }
        let mut removals =
            std::mem::take(&mut *self.inner.removals.lock().unwrap_or_else(PoisonError::into_inner));
        while removals.join_next().await.is_some() {}
    }
}

/// What a shim tells of a task's end.
enum Last {
    Exit { id: String, exit: Exit },
    Deletion { id: String, pid: u32 },
}

impl Last {
    /// Reads an envelope; `None` when it is of something else: an exec's end is always news.
    fn of(envelope: &Envelope) -> Option<Self> {
        let event = || envelope.event.clone().map(wire::Any::from);
        match envelope.topic.as_str() {
            EXIT => {
                let exit = event()?.unpack::<TaskExit>()?.ok()?;
                let TaskExit { container_id: id, id: of, pid, exit_status, exited_at } = exit;
                let exit = Exit::from(DeleteResponse { pid, exit_status, exited_at });
                (of.is_empty() || of == id).then_some(Self::Exit { id, exit })
            }
            DELETE => {
                let deletion = event()?.unpack::<TaskDelete>()?.ok()?;
                let TaskDelete { container_id: id, id: of, pid, .. } = deletion;
                (of.is_empty() || of == id).then_some(Self::Deletion { id, pid })
            }
            _ => None,
        }
    }
}

/// Where it is noted what has been told of a task.
enum Found {
    Shim(Arc<Shim>),
    Departed(Arc<Exits>),
}

#[async_trait]
impl Runtimes for Shims {
    async fn runtime_info(&self, request: &Any) -> Result<Any> {
        let request = match wire::Any::from(request.clone()).unpack::<RuntimeRequest>() {
            Some(request) => request.map_err(|e| Error::invalid(format!("runtime request: {e}")))?,
            None => {
                let text = format!("unknown request type {}", request.type_url);
                return Err(Error::not_implemented(text));
            }
        };
        let binary = self.inner.resolver.resolve(&request.runtime_path);
        let binary = binary.map_err(|e| e.during("failed to resolve runtime path"))?;
        self.inner.binaries.info(&binary, request.options).await
    }
}

impl Inner {
    /// The task of this name whose init has this pid: the one that is there, or one before it.
    fn find(&self, namespace: &str, id: &str, pid: u32) -> Option<Found> {
        let here = self.table.find(namespace, id).filter(|shim| [0, pid].contains(&shim.exits.pid()));
        let before = || self.departed.find(namespace, id, pid).map(Found::Departed);
        here.map(Found::Shim).or_else(before)
    }

    /// Tells an event.
    pub(crate) fn publish(&self, namespace: &Namespace, event: Event) {
        (self.sink)(namespace, event);
    }

    /// Runs steps to their end even when the caller goes away in between.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        steps: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        self.spawn(async move {
            // Nobody may be waiting any more.
            let _ = sender.send(steps.await);
        });
        receiver.await.unwrap_or_else(|_| Err(Error::cancelled("the daemon is closing")))
    }

    /// Makes a shim known and gives it an owner.
    pub(crate) fn adopt(self: &Arc<Self>, shim: &Arc<Shim>, log: Option<Log>) {
        self.spawn(shim::own(Arc::clone(self), Arc::clone(shim), log));
    }

    /// Runs something for as long as the daemon does.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn(work);
    }

    /// Removes what nobody sees any more, off the event loop.
    pub(crate) fn remove_later(&self, hidden: Hidden) {
        self.later(move || {
            if let Err(error) = hidden.remove() {
                tracing::warn!(%error, "a deleted bundle stays until the next start");
            }
        });
    }

    /// Notes in a bundle that stays, though its task is gone, that the next start need not tell of it.
    pub(crate) fn mark_deleted(&self, bundle: &Bundle, exit: &Exit) {
        let (bundle, exit) = (bundle.clone(), exit.clone());
        self.later(move || exits::mark_deleted(&bundle, &exit));
    }

    /// Disk work that nobody waits for before the daemon stops.
    fn later(&self, work: impl FnOnce() + Send + 'static) {
        let mut set = self.removals.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn_blocking(work);
    }

    /// The bundle of a task.
    pub(crate) fn bundle(&self, namespace: &str, id: &str) -> Bundle {
        Bundle::new(&self.setup, namespace, id)
    }
}

#[async_trait]
impl Runtime for Shims {
    async fn create(&self, scope: &Scope, container: &Container, create: &Create) -> Result<u32> {
        let making = Making {
            namespace: scope.namespace.clone(),
            container: container.clone(),
            create: create.clone(),
        };
        self.inner.finish(Arc::clone(&self.inner).create(making)).await
    }

    fn get(&self, scope: &Scope, id: &str) -> Result<Arc<dyn Task>> {
        let shim = self.inner.table.get(&scope.namespace, id)?;
        Ok(Arc::new(Handle { inner: Arc::clone(&self.inner), shim }))
    }

    fn list(&self, namespace: &Namespace) -> Vec<Arc<dyn Task>> {
        let handle = |shim| Arc::new(Handle { inner: Arc::clone(&self.inner), shim }) as Arc<dyn Task>;
        self.inner.table.list(namespace).into_iter().map(handle).collect()
    }

    fn owns(&self, namespace: &Namespace, id: &str) -> bool {
        self.inner.table.holds(namespace, id)
    }
}

/// Runs disk work off the event loop.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|e| Err(Error::internal(format!("disk work ended early: {e}"))))
}
