//! All shims of a daemon.

use crate::bundle::{Bundle, Hidden};
use crate::create::Making;
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
use wire::api::{event::TaskExit, task_v3::DeleteResponse, types::RuntimeRequest};

/// Takes the events that the daemon itself tells of tasks. It must not block.
pub type Sink = Arc<dyn Fn(&Namespace, Event) + Send + Sync>;

/// The topic of the event that a process has ended.
const EXIT: &str = "/tasks/exit";

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
    /// What is still to be told of the time without a daemon; `None` once it has been told.
    pub(crate) missed: Mutex<Option<Vec<Missed>>>,
    sink: Sink,
    /// Owners of shims, and requests that run to their end without their caller.
    work: Mutex<JoinSet<()>>,
    /// Bundles that are being removed though nobody waits for it.
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

    /// Must see every envelope that a shim forwards, before it is passed on. False when it is not to be passed on: it
    /// is an exit that has been told already, or that waits for [`Shims::announce`].
    pub fn observe(&self, envelope: &Envelope) -> bool {
        let Some(event) = envelope.event.as_ref().filter(|_| envelope.topic == EXIT) else { return true };
        let Some(Ok(exit)) = wire::Any::from(event.clone()).unpack::<TaskExit>() else { return true };
        if exit.id != exit.container_id && !exit.id.is_empty() {
            return true;
        }
        let Some(shim) = self.inner.table.find(&envelope.namespace, &exit.container_id) else { return true };
        let TaskExit { pid, exit_status, exited_at, .. } = exit;
        let exit = Exit::from(DeleteResponse { pid, exit_status, exited_at });
        self.inner.keep(&shim, &exit) == Told::Now && shim.exits.note(&exit, &shim.bundle)
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
        let mut set = self.removals.lock().unwrap_or_else(PoisonError::into_inner);
        while set.try_join_next().is_some() {}
        set.spawn_blocking(move || {
            if let Err(error) = hidden.remove() {
                tracing::warn!(%error, "a deleted bundle stays until the next start");
            }
        });
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
