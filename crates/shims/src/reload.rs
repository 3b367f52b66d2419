//! After a restart of the daemon: finding the shims again.
//!
//! Every bundle is looked at, many at a time, and ends in one of these ways:
//!
//! | bundle | end |
//! |---|---|
//! | empty, or nobody knows its shim's binary | removed |
//! | without an address, but its shim serves | mended and kept, see [`crate::strays`] |
//! | nobody listens | cleaned up after by the shim's binary; exit and deletion are told. It stays when that fails |
//! | the shim does not know the task | an interrupted create: the shim is ended, the bundle removed |
//! | the shim answers | kept; an exit that nobody was told is told |
//! | the shim listens but does not answer in time | kept: a slow machine is no reason to kill a container |
//! | nobody can say: it cannot be read, there is no descriptor left to connect with | kept, with the name, for another start |
//!
//! The start of the daemon waits for none of them longer than a moment: what takes longer goes on beside it.
//!
//! Then working directories without a bundle are removed.

use crate::bootstrap::Endpoint;
use crate::bundle::{self, Bundle};
use crate::connect::{Answer, Call, Channel, Failure, is_unheard};
use crate::exits::Exits;
use crate::log::Log;
use crate::setup::Limits;
use crate::shim::{Cleaned, Dead, Life, Shim};
use crate::shims::{Inner, blocking};
use crate::waits::Waits;
use async_trait::async_trait;
use model::events::Event;
use model::tasks::{Exit, Process, Status};
use model::{ContainerId, Error, Namespace, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wire::api::task_v3::{StateRequest, StateResponse, task_methods};

/// How many bundles are looked at at a time.
const AT_A_TIME: usize = 16;
/// How long the start of the daemon waits for one shim. A healthy one answers within a millisecond.
pub(crate) const PATIENCE: Duration = Duration::from_millis(150);

/// What a reload needs to know of containers.
#[async_trait]
pub trait Records: Send + Sync {
    /// The runtime's name in a container's record; `None` without a record.
    async fn runtime_of(&self, namespace: &Namespace, id: &str) -> Result<Option<String>>;
}

/// How many bundles a reload found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Tasks that are there again.
    pub kept: usize,
    /// Tasks that are not there any more.
    pub removed: usize,
    /// Tasks that nothing can be said of. Their names stay taken, and the next start looks at them again.
    pub unclear: usize,
}

/// What became of one bundle.
enum Load {
    Kept,
    Removed,
    Unclear,
}

/// Something that happened while the daemon was away.
pub(crate) enum Missed {
    /// Init of a living shim has ended.
    Exit(Arc<Shim>, Exit),
    /// A shim has died.
    Death { namespace: Namespace, id: ContainerId, exits: Arc<Exits>, cleaned: Cleaned, bundle: Bundle },
}

/// When an exit is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Somebody may listen.
    Now,
    /// With everything else that was missed.
    Later,
}

impl Inner {
    /// See [`crate::Shims::reload`].
    pub(crate) async fn reload(self: Arc<Self>, records: Arc<dyn Records>) -> Result<Reloaded> {
        let (bundles, works) = (self.setup.bundles_dir(), self.setup.work_dir());
        let inner = Arc::clone(&self);
        let names = blocking(move || {
            // An error is said when working directories without a bundle are removed.
            if let Ok(works) = list_tasks(&inner.setup.work_dir()) {
                inner.mend_bundles(&works);
            }
            list_tasks(&bundles)
        })
        .await?;
        let permits = Arc::new(Semaphore::new(AT_A_TIME));
        let mut loads = JoinSet::new();
        for (namespace, id) in names {
            let (inner, records, permits) = (Arc::clone(&self), Arc::clone(&records), Arc::clone(&permits));
            loads.spawn(async move {
                let permit = permits.acquire().await;
                let load = inner.load(namespace, id, &*records).await;
                drop(permit);
                load
            });
        }
        let mut reloaded = Reloaded::default();
        while let Some(load) = loads.join_next().await {
            match load {
                Ok(Load::Kept) => reloaded.kept += 1,
                Ok(Load::Removed) => reloaded.removed += 1,
                Ok(Load::Unclear) => reloaded.unclear += 1,
                Err(error) => tracing::error!(%error, "looking at a bundle ended early"),
            }
        }
        let inner = Arc::clone(&self);
        blocking(move || {
            inner.remove_orphans(&works);
            Ok(())
        })
        .await?;
        Ok(reloaded)
    }

    /// Looks at one bundle.
    async fn load(self: &Arc<Self>, namespace: Namespace, id: ContainerId, records: &dyn Records) -> Load {
        let bundle = self.bundle(&namespace, &id);
        match self.find_shim((&namespace, &id), &bundle, records).await {
            Ok(Some(found)) => self.take_in(found).await,
            Ok(None) => {
                discard(&bundle).await;
                Load::Removed
            }
            Err(error) => self.unclear((&namespace, &id), &error),
        }
    }

    /// Nobody knows whether a shim is alive: its container must not be touched.
    fn unclear(&self, (namespace, id): (&Namespace, &ContainerId), error: &Error) -> Load {
        let task = format!("{namespace}/{id}");
        tracing::error!(task, %error, "failed to load shim; its bundle and name are kept for the next start");
        self.table.keep(namespace, id);
        Load::Unclear
    }

    /// The binary and endpoint in a bundle; `None` when it is of no use.
    async fn find_shim(
        &self,
        task: (&Namespace, &ContainerId),
        bundle: &Bundle,
        records: &dyn Records,
    ) -> Result<Option<Found>> {
        let (namespace, id) = task;
        let of = bundle.clone();
        let files = blocking(move || Files::read(&of)).await?;
        let (endpoint, stray) = match files.endpoint {
            Some(endpoint) => (Some(endpoint), false),
            None if files.sandboxed => (None, false),
            None => (self.find_stray(task, bundle).await?, true),
        };
        if files.is_empty && endpoint.is_none() {
            return Ok(None);
        }
        let binary = match (files.binary, files.sandboxed) {
            (Some(path), _) => Some(path),
            (None, true) => None,
            (None, false) => match (records.runtime_of(namespace, id).await?, &endpoint) {
                (runtime, Some(endpoint)) if stray => Some(self.mend(bundle, endpoint, runtime).await?),
                (Some(runtime), _) => Some(self.resolver.resolve(&runtime)?),
                (None, _) => return Ok(None),
            },
        };
        let log = match &binary {
            Some(_) => Some(Log::open(bundle, format!("{namespace}/{id}"))?),
            None => None,
        };
        let (namespace, id) = (namespace.clone(), id.clone());
        let unmet = Unmet { namespace, id, bundle: bundle.clone(), binary, exits: Arc::new(files.exits) };
        Ok(Some(Found { unmet, log, endpoint }))
    }

    pub(crate) async fn reach(&self, namespace: &Namespace, endpoint: &Endpoint) -> Result<Channel> {
        let limits = Limits { dial: self.setup.limits.load, ..self.setup.limits };
        Channel::connect(endpoint, namespace, &limits).await
    }

    async fn take_in(self: &Arc<Self>, found: Found) -> Load {
        let Found { unmet, log, endpoint } = found;
        let Some(endpoint) = endpoint else {
            // Creating it was interrupted before there was a container.
            return self.bury_unmet(unmet, &Error::unknown("the bundle has no address")).await;
        };
        let channel = match self.reach(&unmet.namespace, &endpoint).await {
            Ok(channel) => channel,
            Err(error) if is_unheard(&error) => return self.bury_unmet(unmet, &error).await,
            Err(error) => return self.unclear((&unmet.namespace, &unmet.id), &error),
        };
        let answer = ask(&channel, &unmet.id, PATIENCE.min(self.setup.limits.load)).await;
        if let Err(failure @ Failure::Closed) = answer {
            // It died just now, or it hangs up on us.
            return match self.reach(&unmet.namespace, &endpoint).await {
                Err(error) if is_unheard(&error) => self.bury_unmet(unmet, &failure.into()).await,
                _ => self.unclear((&unmet.namespace, &unmet.id), &failure.into()),
            };
        }
        let Unmet { namespace, id, bundle, binary, exits } = unmet;
        let (life, waits, address) = (watch::Sender::new(Life::Live), Waits::default(), endpoint.address);
        let shim = Arc::new(Shim { namespace, id, bundle, binary, channel, address, exits, waits, life });
        // The name is taken as long as anything is left.
        self.table.put(&shim);
        match answer {
            Ok(state) => self.note_state(&shim, state),
            Err(Failure::Refused(e)) if e.is_not_found() => {
                shim.leave();
                self.beside(remove_leaked(Arc::clone(self), shim)).await;
                return Load::Removed;
            }
            Err(_) => {
                let (inner, shim) = (Arc::clone(self), Arc::clone(&shim));
                self.beside(ask_again(inner, shim)).await;
            }
        }
        self.adopt(&shim, log);
        Load::Kept
    }

    /// Waits a moment for some work, which then goes on beside the start.
    async fn beside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (done, wait) = oneshot::channel();
        self.spawn(async move {
            work.await;
            // Nobody waits any longer.
            let _ = done.send(());
        });
        // A moment is all that is waited for.
        let _ = timeout(PATIENCE, wait).await;
    }

    fn note_state(&self, shim: &Arc<Shim>, state: StateResponse) {
        let process = Process::from(state);
        if process.pid != 0 {
            shim.exits.set_pid(process.pid);
        }
        if process.status == Status::Stopped && shim.exits.told().is_none() {
            let exit = Exit {
                id: String::new(),
                pid: process.pid,
                status: process.exit_status,
                at: process.exited_at,
            };
            self.miss(Missed::Exit(Arc::clone(shim), exit));
        }
    }

    /// Cleans up after a shim that was dead before the daemon could meet it.
    async fn bury_unmet(&self, unmet: Unmet, error: &Error) -> Load {
        let Unmet { namespace, id, bundle, binary, exits } = unmet;
        tracing::info!(task = format!("{namespace}/{id}"), %error, "cleaning up after dead shim");
        let dead =
            Dead { task: (&namespace, &id), bundle: &bundle, binary: binary.as_deref(), exits: &exits };
        let cleaned = self.clean_up(dead).await;
        self.miss(Missed::Death { namespace, id, exits, cleaned, bundle });
        Load::Removed
    }

    /// Keeps what was missed until somebody listens, or tells it.
    fn miss(&self, missed: Missed) {
        let mut missed = Some(missed);
        if let Some(waiting) = &mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner) {
            waiting.extend(missed.take());
        }
        if let Some(missed) = missed {
            self.tell(missed);
        }
    }

    /// Keeps an exit that a shim tells before anybody listens.
    pub(crate) fn keep(&self, shim: &Arc<Shim>, exit: &Exit) -> Told {
        match &mut *self.missed.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(waiting) => {
                waiting.push(Missed::Exit(Arc::clone(shim), exit.clone()));
                Told::Later
            }
            None => Told::Now,
        }
    }

    /// See [`crate::Shims::announce`].
    pub(crate) fn announce(&self) {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner).take();
        missed.into_iter().flatten().for_each(|one| self.tell(one));
    }

    fn tell(&self, missed: Missed) {
        match missed {
            Missed::Exit(shim, exit) => {
                // The exit of a task that was deleted meanwhile would be taken for that of a newer one.
                if shim.is_live() {
                    let event = Event::TaskExit { container_id: shim.id.to_string(), exit: exit.clone() };
                    shim.exits.tell(&exit, Some(&shim.bundle), || self.publish(&shim.namespace, event));
                }
            }
            Missed::Death { namespace, id, exits, cleaned, bundle } => {
                exits.conclude(&id, &cleaned.exit, |event| self.publish(&namespace, event));
                if cleaned.left {
                    self.mark_deleted(&bundle, &cleaned.exit);
                }
            }
        }
    }

    /// Removes working directories without a task.
    fn remove_orphans(&self, works: &Path) {
        let tasks = match list_tasks(works) {
            Ok(tasks) => tasks,
            Err(error) => return tracing::warn!(%error, "working directories are not looked at"),
        };
        for (namespace, id) in tasks {
            if !self.table.holds(&namespace, &id)
                && !self.bundle(&namespace, &id).path.exists()
                && let Err(error) = std::fs::remove_dir_all(works.join(&*namespace).join(&*id))
            {
                tracing::warn!(task = format!("{namespace}/{id}"), %error, "failed to remove working directory");
            }
        }
    }
}

/// Asks for the state of a shim's task.
pub(crate) async fn ask(channel: &Channel, id: &ContainerId, limit: Duration) -> Answer<StateResponse> {
    let request = StateRequest { id: id.to_string(), exec_id: String::new() };
    let call = Call { method: task_methods::STATE, request: &request, limit: Some(limit), probes: true };
    channel.call(call).await
}

/// Asks a slow shim with more patience.
async fn ask_again(inner: Arc<Inner>, shim: Arc<Shim>) {
    match ask(&shim.channel, &shim.id, inner.setup.limits.load).await {
        Ok(state) => inner.note_state(&shim, state),
        Err(Failure::Refused(e)) if e.is_not_found() => {
            if shim.leave() {
                remove_leaked(inner, shim).await;
            }
        }
        // Its owner notices that.
        Err(Failure::Closed) => {}
        Err(Failure::Refused(error)) => {
            tracing::warn!(task = shim.label(), %error, "the shim does not answer");
        }
    }
}

/// Removes a shim that does not know its task. It is `Leaving`.
async fn remove_leaked(inner: Arc<Inner>, shim: Arc<Shim>) {
    tracing::info!(task = shim.label(), "cleaning leaked shim process");
    inner.take_down(&shim, None).await;
}

/// A bundle that has been looked into.
struct Found {
    unmet: Unmet,
    log: Option<Log>,
    endpoint: Option<Endpoint>,
}

/// A task whose shim has not answered yet.
struct Unmet {
    namespace: Namespace,
    id: ContainerId,
    bundle: Bundle,
    binary: Option<PathBuf>,
    exits: Arc<Exits>,
}

/// What the files of a bundle say.
struct Files {
    is_empty: bool,
    binary: Option<PathBuf>,
    sandboxed: bool,
    endpoint: Option<Endpoint>,
    exits: Exits,
}

impl Files {
    fn read(bundle: &Bundle) -> Result<Self> {
        let mut entries = std::fs::read_dir(&bundle.path).map_err(|e| Error::io("read", &bundle.path, e))?;
        let endpoint = match bundle.find(bundle::BOOTSTRAP)? {
            Some(text) => Some(Endpoint::from_text(&text)),
            None => Self::old_address(bundle)?,
        };
        Ok(Self {
            is_empty: entries.next().is_none(),
            binary: bundle.find(bundle::BINARY)?.map(|path| PathBuf::from(path.trim())),
            sandboxed: bundle.find(bundle::SANDBOX)?.is_some(),
            endpoint,
            exits: Exits::load(bundle)?,
        })
    }

    /// The address as older daemons kept it; it is written anew.
    fn old_address(bundle: &Bundle) -> Result<Option<Endpoint>> {
        let Some(text) = bundle.find(bundle::ADDRESS)? else { return Ok(None) };
        let endpoint = Endpoint::from_text(&text);
        if let Err(error) = bundle.note(&endpoint) {
            tracing::warn!(%error, "the address of a shim stays in its old file");
        }
        Ok(Some(endpoint))
    }
}

async fn discard(bundle: &Bundle) {
    let of = bundle.clone();
    if let Err(error) = blocking(move || of.delete()).await {
        tracing::warn!(bundle = %bundle.path.display(), %error, "failed to delete bundle");
    }
}

/// The tasks that have a directory. What an interrupted removal left is removed.
fn list_tasks(dir: &Path) -> Result<Vec<(Namespace, ContainerId)>> {
    let mut tasks = Vec::new();
    for namespace in list_dirs(dir)? {
        let Ok(valid) = Namespace::new(&namespace) else { continue };
        for id in list_dirs(&dir.join(&namespace))? {
            match ContainerId::new(&id) {
                Ok(id) => tasks.push((valid.clone(), id)),
                Err(_) if id.starts_with('.') => {
                    let path = dir.join(&namespace).join(&id);
                    if let Err(error) = bundle::remove(&path) {
                        tracing::warn!(%error, "the rest of a bundle stays until the next start");
                    }
                }
                Err(_) => {}
            }
        }
    }
    Ok(tasks)
}

fn list_dirs(dir: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("read", dir, e);
    let entries = match std::fs::read_dir(dir) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir())
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}
