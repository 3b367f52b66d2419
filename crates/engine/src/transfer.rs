//! Transfers: images between registries, archives and the image store.
//!
//! A transfer runs under the caller's lease or one of its own, so that nothing it fetched is collected before it has a
//! name. `documents` reads manifests, `unpack` turns layers into snapshots, `keep` writes image records; each direction
//! has its file. Not here yet: registries.

mod documents;
mod export;
mod import;
mod keep;
mod tag;
mod unpack;

use crate::Engine;
use crate::clock;
use async_trait::async_trait;
use model::content::Content;
use model::diff::Diff;
use model::images::Images;
use model::leases::{Delete, Leases};
use model::streams::Accept;
use model::transfer::{Endpoint, Progress, ProgressSink, Request, Transfer};
use model::{Error, Kind, Labels, Result, Scope, labels};
use std::sync::Arc;
use std::time::Duration;
use unpack::Unpacker;

/// How long the lease of a transfer lasts that has none of its caller's.
const LEASE: Duration = Duration::from_secs(24 * 3600);

/// The transfer service.
pub struct Transfers {
    content: Arc<dyn Content>,
    images: Arc<dyn Images>,
    leases: Arc<dyn Leases>,
    streams: Arc<dyn Accept>,
    unpacker: Unpacker,
}

impl Transfers {
    /// A service over the engine's nouns.
    pub fn new(engine: &Engine, diff: Arc<dyn Diff>, streams: Arc<dyn Accept>) -> Self {
        Self {
            content: engine.content.clone(),
            images: engine.images.clone(),
            leases: engine.leases.clone(),
            streams,
            unpacker: Unpacker::new(engine.content.clone(), diff, engine.snapshotters.clone()),
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
        let expiry = clock::now().plus(LEASE).to_rfc3339();
        let lease = self.leases.create(scope, "", Labels::from([(labels::GC_EXPIRE.into(), expiry)])).await?;
        let done = self.run(&scope.with_lease(&lease.id), request).await;
        match self.leases.delete(scope, Delete { id: lease.id, sync: false }).await {
            Err(second) if done.is_err() => done.map_err(|first| first.beside(second)),
            deleted => done.and(deleted),
        }
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
struct News(Option<Arc<dyn ProgressSink>>);

impl News {
    /// Something happened to the transfer as a whole.
    fn event(&self, event: impl Into<String>) {
        self.named(event, "");
    }

    /// Something happened to an object.
    fn named(&self, event: impl Into<String>, name: &str) {
        if let Some(sink) = &self.0 {
            sink.report(Progress { event: event.into(), name: name.into(), ..Progress::default() });
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
