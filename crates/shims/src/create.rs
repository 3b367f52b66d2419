//! Creating a task: bundle, shim, first process.
//!
//! The steps are those of containerd, except that nothing is asked twice: the shim's answer to `Create` carries the pid.

use crate::bootstrap::{Endpoint, Start};
use crate::bundle::{self, Bundle};
use crate::connect::{Call, Channel, Failure};
use crate::log::Log;
use crate::options;
use crate::shim::{Life, Shim};
use crate::shims::{Inner, blocking};
use crate::waits::Waits;
use model::tasks::Create;
use model::{Any, ContainerId, Error, Kind, Namespace, Result, containers::Container};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;
use wire::api::task_v3::{
    CreateTaskRequest, CreateTaskResponse, DeleteRequest, DeleteResponse, ShutdownRequest, task_methods,
};

/// Everything that is known of a task that is to be made.
pub(crate) struct Making {
    pub(crate) namespace: Namespace,
    pub(crate) container: Container,
    pub(crate) create: Create,
}

impl Making {
    /// The options for the shim: the request's, else the container's.
    fn options(&self) -> Option<&Any> {
        let given = self.create.options.as_ref().filter(|any| !any.value.is_empty());
        given.or(self.container.runtime.options.as_ref())
    }

    fn runtime(&self) -> &str {
        match self.create.runtime_path.as_str() {
            "" => &self.container.runtime.name,
            path => path,
        }
    }
}

/// Where a task's shim is to come from.
enum Source {
    /// An own process of this binary.
    Binary(PathBuf),
    /// The sandbox' shim.
    Sandbox(Endpoint),
}

/// The place that is prepared for a task.
struct Place {
    id: ContainerId,
    bundle: Bundle,
    source: Source,
    /// Where the bundle says already that the shim will listen.
    noted: Option<Endpoint>,
}

impl Inner {
    /// Creates a task and returns its first process' pid. Nothing is left behind on an error.
    pub(crate) async fn create(self: Arc<Self>, mut making: Making) -> Result<u32> {
        let options = options::parse(making.create.options.as_ref(), &making.container.runtime.name)?;
        if let Some(options) = options.filter(|_| making.create.api_address.is_empty()) {
            (making.create.api_address, making.create.api_version) = options::task_api(options);
        }
        options::check_mounts(&making.create.rootfs)?;
        options::check_spec(&making.container)?;
        if making.create.checkpoint.is_some() {
            return Err(Error::not_implemented("restore from a checkpoint"));
        }
        let id = ContainerId::new(&making.container.id).map_err(|e| e.during("invalid task id"))?;
        let reserved = self.table.reserve(&making.namespace, &id)?;
        let bundle = self.bundle(&making.namespace, &id);
        let source = self.find_source(&making).await.map_err(failed_to_start)?;
        let noted = self.make_bundle(&making, &bundle, &source).await?;
        match self.bring_up(&making, Place { id, bundle: bundle.clone(), source, noted }).await {
            Ok((shim, log)) => {
                reserved.fill(&shim);
                let pid = shim.exits.pid();
                self.adopt(&shim, log);
                Ok(pid)
            }
            Err(e) => match blocking(move || bundle.delete()).await {
                Ok(()) => Err(e),
                Err(second) => Err(e.beside(second)),
            },
        }
    }

    async fn find_source(&self, making: &Making) -> Result<Source> {
        if !making.container.sandbox.is_empty()
            && let Some(endpoint) = self.find_sandbox(making).await?
        {
            return Ok(Source::Sandbox(endpoint));
        }
        let binary = self.resolver.resolve(making.runtime());
        binary.map(Source::Binary).map_err(|e| e.during("failed to resolve runtime path"))
    }

    /// Where the sandbox of a container listens; `None` when it is not there or too old to be joined without its binary.
    async fn find_sandbox(&self, making: &Making) -> Result<Option<Endpoint>> {
        let create = &making.create;
        if !create.api_address.is_empty() {
            return Endpoint::from_request(&create.api_address, create.api_version).map(Some);
        }
        let text = match ContainerId::new(&making.container.sandbox) {
            Ok(sandbox) => {
                let dir = self.setup.sandboxes_dir().join(&*making.namespace).join(&*sandbox);
                blocking(move || Ok(std::fs::read_to_string(dir.join(bundle::BOOTSTRAP)).ok())).await?
            }
            Err(_) => None,
        };
        if text.is_none() {
            let (task, sandbox) = (&making.container.id, &making.container.sandbox);
            tracing::warn!(task, sandbox, "sandbox not found, the task gets a shim of its own");
        }
        Ok(text.map(|text| Endpoint::from_text(&text)).filter(|endpoint| endpoint.version >= 3))
    }

    /// Makes the bundle. Where a shim of its own is going to listen is noted at once: it mostly does, and nothing need be
    /// written between its start and the call that has it create the task.
    async fn make_bundle(
        &self,
        making: &Making,
        bundle: &Bundle,
        source: &Source,
    ) -> Result<Option<Endpoint>> {
        let ((name, text), expected) = match source {
            Source::Binary(path) => {
                let expected = self.expected_endpoint(&making.namespace, &making.container.id);
                ((bundle::BINARY, path.display().to_string()), expected)
            }
            Source::Sandbox(_) => ((bundle::SANDBOX, making.container.sandbox.clone()), None),
        };
        let spec = making.container.spec.as_ref().map(|any| any.value.clone()).unwrap_or_default();
        let bundle = bundle.clone();
        let step = kernel::trace::begin();
        let made = blocking(move || {
            bundle.create(&spec, (name, &text))?;
            // What cannot be noted now is noted, or refused, when the shim listens.
            Ok(expected.filter(|endpoint| bundle.note(endpoint).is_ok()))
        })
        .await;
        step.end("daemon.make-bundle", &making.container.id);
        made
    }

    /// Starts or joins the shim and has it create the task.
    async fn bring_up(&self, making: &Making, place: Place) -> Result<(Arc<Shim>, Option<Log>)> {
        let Place { id, bundle, source, noted } = place;
        let (binary, mut log) = match &source {
            Source::Sandbox(_) => (None, None),
            Source::Binary(path) => {
                let log =
                    Log::open(&bundle, format!("{}/{id}", making.namespace)).map_err(failed_to_start)?;
                (Some(path.clone()), Some(log))
            }
        };
        let making_it = async {
            let (endpoint, channel) = self
                .start(making, (&bundle, noted.as_ref()), source)
                .await
                .map_err(|e| failed_to_start(e.during("start failed")))?;
            let shim = Arc::new(Shim {
                namespace: making.namespace.clone(),
                id,
                bundle,
                binary,
                channel,
                address: endpoint.address,
                exits: Arc::default(),
                waits: Waits::default(),
                life: watch::Sender::new(Life::Live),
            });
            self.create_task(making, &shim).await?;
            Ok(shim)
        };
        let shim: Result<Arc<Shim>> = match &mut log {
            None => making_it.await,
            Some(log) => tokio::select! {
                shim = making_it => shim,
                never = log.pump() => match never {},
            },
        };
        if let (Err(_), Some(log)) = (&shim, &mut log) {
            log.drain();
        }
        Ok((shim?, log))
    }

    async fn start(
        &self,
        making: &Making,
        noted: (&Bundle, Option<&Endpoint>),
        source: Source,
    ) -> Result<(Endpoint, Channel)> {
        let bundle = noted.0;
        let binary = match source {
            Source::Sandbox(endpoint) => {
                let channel = self.meet(making, noted, &endpoint).await?;
                return Ok((endpoint, channel));
            }
            Source::Binary(binary) => binary,
        };
        let start = Start {
            binary: &binary,
            namespace: &making.namespace,
            id: &making.container.id,
            options: making.options(),
        };
        let started = match self.binaries.start(&start, bundle).await {
            Ok(endpoint) => self.meet(making, noted, &endpoint).await.map(|channel| (endpoint, channel)),
            // It was ended and may have left a shim behind, unlike one that says itself that it failed.
            Err(e) if matches!(e.kind(), Kind::DeadlineExceeded | Kind::Aborted) => Err(e),
            Err(e) => return Err(e),
        };
        if started.is_err() {
            // A shim that serves nobody: its binary asks it to end, and removes its socket.
            let task = (making.namespace.as_str(), making.container.id.as_str());
            if let Err(error) = self.binaries.delete(task, &binary, bundle).await {
                let task = format!("{}/{}", making.namespace, making.container.id);
                tracing::error!(task, %error, "failed to clean up after a failed start");
            }
        }
        started
    }

    /// Connects to a shim, and notes in the bundle where it listens unless that is noted.
    async fn meet(
        &self,
        making: &Making,
        (bundle, noted): (&Bundle, Option<&Endpoint>),
        endpoint: &Endpoint,
    ) -> Result<Channel> {
        let write = async {
            if noted == Some(endpoint) {
                return Ok(());
            }
            let (bundle, endpoint) = (bundle.clone(), endpoint.clone());
            blocking(move || bundle.note(&endpoint)).await
        };
        let (written, channel) =
            tokio::join!(write, Channel::connect(endpoint, &making.namespace, &self.setup.limits),);
        match (written, channel) {
            (Ok(()), channel) => channel,
            (Err(e), Err(second)) => Err(e.beside(second)),
            (Err(e), Ok(channel)) => {
                // Should the shim belong to others as well it goes on.
                let request = ShutdownRequest { id: making.container.id.clone(), now: false };
                let limit = Some(self.setup.limits.shutdown);
                let call = Call { method: task_methods::SHUTDOWN, request: &request, limit, probes: true };
                match channel.call::<_, ()>(call).await {
                    Ok(()) | Err(Failure::Closed) => Err(e),
                    Err(Failure::Refused(second)) => Err(e.beside(second)),
                }
            }
        }
    }

    async fn create_task(&self, making: &Making, shim: &Arc<Shim>) -> Result<()> {
        let create = Create { options: making.options().cloned(), ..making.create.clone() };
        let path = shim.bundle.path.display().to_string();
        let request = CreateTaskRequest { id: shim.id.to_string(), ..(path, create).into() };
        let limit = Some(self.setup.limits.long);
        let call = Call { method: task_methods::CREATE, request: &request, limit, probes: true };
        match shim.channel.call::<_, CreateTaskResponse>(call).await {
            Ok(response) => {
                shim.exits.set_pid(response.pid);
                Ok(())
            }
            Err(failure) => {
                self.abandon(shim, &failure).await;
                Err(plain(Error::from(failure)).during("failed to create shim task"))
            }
        }
    }

    /// Ends a shim whose task could not be made. What it left behind is removed by its binary when it cannot do so itself.
    async fn abandon(&self, shim: &Arc<Shim>, failure: &Failure) {
        let answers = match failure {
            Failure::Closed => false,
            Failure::Refused(e) => e.kind() != Kind::DeadlineExceeded,
        };
        if answers {
            let request = DeleteRequest { id: shim.id.to_string(), exec_id: String::new() };
            let limit = Some(self.setup.limits.cleanup);
            let call = Call { method: task_methods::DELETE, request: &request, limit, probes: false };
            // Mostly it answers that there is no such task.
            let _ = shim.channel.call::<_, DeleteResponse>(call).await;
            shim.shut_down(self).await;
            return;
        }
        if let Some(binary) = &shim.binary {
            let task = (shim.namespace.as_str(), shim.id.as_str());
            if let Err(error) = self.binaries.delete(task, binary, &shim.bundle).await {
                tracing::error!(task = shim.label(), %error, "failed to clean up after a failed create");
            }
        }
    }
}

fn failed_to_start(error: Error) -> Error {
    plain(error).during("failed to start shim")
}

/// Whoever asked for a task is not helped by a "not found" of something else.
fn plain(error: Error) -> Error {
    match error.kind() {
        Kind::DeadlineExceeded | Kind::Cancelled | Kind::NotImplemented | Kind::InvalidArgument => error,
        _ => error.with_kind(Kind::Unknown),
    }
}
