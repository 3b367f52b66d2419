//! Transfers: images between registries, archives and the image store.
//!
//! A transfer runs under the caller's lease or one of its own, so that nothing it fetched is collected before it has a
//! name. `documents` reads manifests, `fetch` brings one object from a registry, `unpack` turns layers into snapshots,
//! `keep` writes image records; each direction has its file.

mod credentials;
mod documents;
mod export;
mod fetch;
mod import;
mod keep;
mod progress;
mod pull;
mod push;
mod tag;
mod unpack;

use crate::disk::{Gate, Pace};
use crate::{Engine, clock, to_end};
use async_trait::async_trait;
use model::content::Content;
use model::diff::Diff;
use model::images::Images;
use model::leases::{Delete, Leases};
use model::registries::{Phrases, Registries};
use model::streams::Accept;
use model::transfer::{Endpoint, Progress, ProgressSink, Request, Transfer};
use model::{Error, Kind, Labels, Result, Scope, labels};
use oci::Descriptor;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use unpack::Unpacker;

/// How long the lease of a transfer lasts that has none of its caller's.
const LEASE: Duration = Duration::from_secs(24 * 3600);

/// How long what a pull had fetched is kept when its caller goes away, so that the next pull goes on there.
const ABANDONED: Duration = Duration::from_secs(15 * 60);

/// How much of all transfers goes on at a time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many objects are fetched; 0 for as many as there are, within reason.
    pub downloads: usize,
    /// How many objects are sent; 0 for as many as there are, within reason.
    pub uploads: usize,
}

impl Limits {
    /// What is within reason.
    const MOST: usize = 32;

    fn downloads(self) -> usize {
        Self::bounded(self.downloads)
    }

    fn uploads(self) -> usize {
        Self::bounded(self.uploads)
    }

    fn bounded(limit: usize) -> usize {
        if limit == 0 { Self::MOST } else { limit.min(Self::MOST) }
    }
}

/// What the service is made from beside the engine's nouns.
pub struct Parts {
    /// Who puts layers into snapshots.
    pub diff: Arc<dyn Diff>,
    /// Where clients' streams wait.
    pub streams: Arc<dyn Accept>,
    /// Who speaks to registries.
    pub registries: Arc<dyn Registries>,
    /// How clients are asked for credentials.
    pub phrases: Arc<dyn Phrases>,
    /// How much goes on at a time.
    pub limits: Limits,
}

/// The transfer service.
#[derive(Clone)]
pub struct Transfers {
    content: Arc<dyn Content>,
    images: Arc<dyn Images>,
    leases: Arc<dyn Leases>,
    streams: Arc<dyn Accept>,
    registries: Arc<dyn Registries>,
    phrases: Arc<dyn Phrases>,
    downloads: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    unpacker: Arc<Unpacker>,
    archives: Arc<Gate>,
}

impl Transfers {
    /// A service over the engine's nouns.
    pub fn new(engine: &Engine, parts: Parts) -> Self {
        let Parts { diff, streams, registries, phrases, limits } = parts;
        let unpacker = Unpacker::new(engine.content.clone(), diff, engine.snapshotters.clone());
        Self {
            content: engine.content.clone(),
            images: engine.images.clone(),
            leases: engine.leases.clone(),
            streams,
            registries,
            phrases,
            downloads: Arc::new(Semaphore::new(limits.downloads())),
            uploads: Arc::new(Semaphore::new(limits.uploads())),
            unpacker: Arc::new(unpacker),
            archives: Gate::new("archives", Pace::Client),
        }
    }

    async fn run(&self, scope: &Scope, request: Request) -> Result<()> {
        let news = News(request.progress.clone());
        match (&request.source, &request.destination) {
            (Endpoint::Import(source), Endpoint::ImageStore(store)) => {
                self.import(scope, (source, store), &news).await
            }
            (Endpoint::ImageStore(store), Endpoint::Export(export)) => {
                self.export(scope, (store, export), &news).await
            }
            (Endpoint::ImageStore(source), Endpoint::ImageStore(store)) => {
                self.tag(scope, source, store).await
            }
            (Endpoint::Registry(registry), Endpoint::ImageStore(store)) => {
                self.pull(scope, (registry, store), &news).await
            }
            (Endpoint::ImageStore(store), Endpoint::Registry(registry)) => {
                self.push(scope, (store, registry), &news).await
            }
            (source, destination) => {
                let text =
                    format!("method Transfer not implemented for {} to {}", name(source), name(destination));
                Err(Error::new(Kind::NotImplemented, text))
            }
        }
    }
}

#[async_trait]
impl Transfer for Transfers {
    async fn transfer(&self, scope: &Scope, request: Request) -> Result<()> {
        if scope.lease.is_some() {
            return self.run(scope, request).await;
        }
        let (this, scope) = (self.clone(), scope.clone());
        let (caller, gone) = oneshot::channel::<()>();
        // The lease goes whatever happens, also when the caller goes first.
        let done = to_end(async move { this.run_leased(scope, request, gone).await }).await;
        drop(caller);
        done
    }
}

impl Transfers {
    async fn run_leased(&self, scope: Scope, request: Request, gone: oneshot::Receiver<()>) -> Result<()> {
        let lease = self.lease(&scope, LEASE).await?;
        let leased = scope.with_lease(&lease);
        let is_pull = matches!(request.source, Endpoint::Registry(_));
        let done = tokio::select! {
            done = self.run(&leased, request) => done,
            _ = gone => Err(Error::cancelled("transfer")),
        };
        let is_abandoned = done.as_ref().is_err_and(|e| e.kind() == Kind::Cancelled);
        let kept = if is_pull && is_abandoned { self.keep_for_later(&scope, &lease).await } else { Ok(()) };
        let deleted = self.leases.delete(&scope, Delete { id: lease, sync: false }).await;
        match kept.and(deleted) {
            Err(second) if done.is_err() => done.map_err(|first| first.beside(second)),
            ended => done.and(ended),
        }
    }

    /// Makes a lease that ends by itself; returns its id.
    async fn lease(&self, scope: &Scope, life: Duration) -> Result<String> {
        let expiry = clock::now().plus(life).to_rfc3339();
        let labels = Labels::from([(labels::GC_EXPIRE.into(), expiry)]);
        Ok(self.leases.create(scope, "", labels).await?.id)
    }

    /// What a lease holds is held a while longer by another.
    async fn keep_for_later(&self, scope: &Scope, lease: &str) -> Result<()> {
        let held = self.leases.list_resources(scope, lease).await?;
        if held.is_empty() {
            return Ok(());
        }
        let longer = self.lease(scope, ABANDONED).await?;
        for resource in held {
            self.leases.add_resource(scope, &longer, resource).await?;
        }
        Ok(())
    }
}

/// The type by which clients know an end.
fn name(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Registry(_) => "containerd.types.transfer.OCIRegistry",
        Endpoint::ImageStore(_) => "containerd.types.transfer.ImageStore",
        Endpoint::Import(_) => "containerd.types.transfer.ImageImportStream",
        Endpoint::Export(_) => "containerd.types.transfer.ImageExportStream",
    }
}

/// Progress for whoever asked for it.
#[derive(Clone)]
struct News(Option<Arc<dyn ProgressSink>>);

impl News {
    /// Something happened to the transfer as a whole.
    fn event(&self, event: impl Into<String>) {
        self.named(event, "");
    }

    /// Something happened to an object.
    fn named(&self, event: impl Into<String>, name: &str) {
        self.tell(Progress { event: event.into(), name: name.into(), ..Progress::default() });
    }

    /// Something happened to an object that is known by its descriptor too.
    fn about(&self, event: &str, name: &str, object: &Descriptor) {
        let descriptor = Some(documents::target(object));
        self.tell(Progress { event: event.into(), name: name.into(), descriptor, ..Progress::default() });
    }

    fn tell(&self, progress: Progress) {
        if let Some(sink) = &self.0 {
            sink.report(progress);
        }
    }
}

/// The archive's errors and ours.
struct Failed(Error);

impl From<archive::Error> for Failed {
    fn from(error: archive::Error) -> Self {
        let kind = if matches!(error, archive::Error::Missing(_)) { Kind::NotFound } else { Kind::Unknown };
        Self(Error::new(kind, error.to_string()).with_source(error))
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error)
    }
}
