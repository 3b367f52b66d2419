//! Content: the namespaced, labelled and leased view over blobs on a disk.
//!
//! ```text
//!             writer                     commit
//!   (nothing) ──────▶ ingest ───────────────────────▶ blob in the namespace
//!                     │  ▲ bytes of its own            │
//!                     │  │ write, truncate             │ delete: the row goes, the bytes
//!                     └──┴─ share-pending: another     ▼ with the next collection
//!                           namespace has the blob   (nothing)
//! ```
//!
//! A blob's bytes come before its row, and go after it. A digest is claimed from before its bytes get their place until
//! its row is there, so that the collector never takes a blob whose row is on its way. An ingest is the one thing whose
//! row comes first: its bytes are made on demand, so a row without them is an empty ingest.
//!
//! Not here: the messages of the write stream; they are `grpc`'s.

mod ingest;
mod sweep;
mod writer;

use crate::claims::Claims;
use crate::database::Database;
use crate::disk::{Gate, Pace, to_end};
use crate::gc::{Gone, Pressure};
use crate::{clock, leased, masks};
use async_trait::async_trait;
use bytes::Bytes;
use model::content::{Blob, Blobs, Info, Ingest, Reader, Status, Writer};
use model::events::Event;
use model::filters::Filters;
use model::{Error, Mask, Result, Scope, labels};
use oci::Digest;
use std::sync::Arc;
use store::content;

/// Which blobs of other namespaces a namespace may have without supplying their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Every blob on disk.
    #[default]
    Shared,
    /// Those of namespaces with the label `containerd.io/namespace.shareable=true`.
    Isolated,
}

/// The content of the store and of a disk.
#[derive(Clone)]
pub(crate) struct Content {
    blobs: Arc<dyn Blobs>,
    database: Arc<Database>,
    pressure: Arc<Pressure>,
    sharing: Sharing,
    claims: Arc<Claims<Digest>>,
    gate: Arc<Gate>,
}

/// What [`Content`] is made from.
pub(crate) struct Parts {
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) database: Arc<Database>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) sharing: Sharing,
}

impl Content {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { blobs, database, pressure, sharing } = parts;
        let gate = Gate::new("content store", Pace::Disk);
        Self { blobs, database, pressure, sharing, claims: Claims::new(), gate }
    }

    /// Works with the blobs on the disk's side of the fence.
    async fn on_disk<T: Send + 'static>(
        &self,
        step: &str,
        work: impl FnOnce(&dyn Blobs) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let blobs = self.blobs.clone();
        self.gate.run(step, move || work(&*blobs)).await
    }

    fn get(&self, scope: &Scope, digest: &Digest) -> Result<Info> {
        self.database.read(|tx| content::find(tx, &scope.namespace, digest))?.ok_or_else(|| missing(digest))
    }

    fn get_ingest(&self, scope: &Scope, reference: &str) -> Result<content::Ingest> {
        let found = self.database.read(|tx| content::find_ingest(tx, &scope.namespace, reference))?;
        found.ok_or_else(|| missing_ingest(reference))
    }
}

fn missing(digest: &Digest) -> Error {
    Error::not_found(format!("content digest {digest}"))
}

fn missing_ingest(reference: &str) -> Error {
    Error::not_found(format!("reference {reference}"))
}

/// The state of an ingest as clients see it.
fn shown(status: Status, reference: &str) -> Status {
    Status { reference: reference.to_owned(), expected: String::new(), ..status }
}

#[async_trait]
impl model::content::Content for Content {
    async fn info(&self, scope: &Scope, digest: &Digest) -> Result<Info> {
        self.get(scope, digest)
    }

    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info> {
        let namespace = scope.namespace.clone();
        let write = self.database.write(move |tx| {
            let mut stored =
                content::find(tx, &namespace, &info.digest)?.ok_or_else(|| missing(&info.digest))?;
            let what = format!("content info {:?}", info.digest.as_str());
            let updated = masks::update_labels(&stored.labels, &info.labels, &mask, &what)?;
            labels::validate("info.Labels", &updated)?;
            let step = || format!("writing labels for info {}", info.digest);
            stored.labels = masks::storable(&updated).map_err(|e| e.during(step()))?;
            stored.updated_at = clock::now();
            content::put(tx, &namespace, &stored)?;
            Ok(stored)
        });
        write.await
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>> {
        let filters = Filters::parse(filters)?;
        let mut found = self.database.read(|tx| content::list(tx, &scope.namespace))?;
        found.retain(|info| filters.matches(info));
        Ok(found)
    }

    async fn delete(&self, scope: &Scope, digest: &Digest) -> Result<()> {
        let (scope, digest) = (scope.clone(), digest.clone());
        let write = self.database.remove(Gone::Content, move |tx| {
            if !content::exists(tx, &scope.namespace, &digest)? {
                return Err(missing(&digest));
            }
            content::delete(tx, &scope.namespace, digest.as_str())?;
            leased::remove(tx, &scope, &leased::content(digest.as_str()))?;
            tx.emit(&scope.namespace, Event::ContentDelete { digest: digest.to_string() });
            Ok(())
        });
        write.await
    }

    async fn status(&self, scope: &Scope, reference: &str) -> Result<Status> {
        let ingest = self.get_ingest(scope, reference)?;
        let step = format!("look at ingest {reference}");
        match self.on_disk(&step, move |blobs| blobs.status(&ingest.backend)).await {
            Ok(status) => Ok(shown(status, reference)),
            Err(e) if e.is_not_found() => Err(missing_ingest(reference)),
            Err(e) => Err(e),
        }
    }

    async fn statuses(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Status>> {
        let filters = Filters::parse(filters)?;
        let ingests = self.database.read(|tx| content::list_ingests(tx, &scope.namespace))?;
        self.on_disk("list ingests", move |blobs| {
            let mut found = Vec::new();
            for ingest in ingests {
                match blobs.status(&ingest.backend) {
                    Ok(status) => found.push(shown(status, &ingest.reference)),
                    Err(e) if e.is_not_found() => {}
                    Err(e) => return Err(e),
                }
            }
            found.retain(|status| filters.matches(status));
            Ok(found)
        })
        .await
    }

    async fn abort(&self, scope: &Scope, reference: &str) -> Result<()> {
        let (this, scope, reference) = (self.clone(), scope.clone(), reference.to_owned());
        to_end(async move { this.abort_ingest(scope, reference).await }).await
    }

    async fn reader(&self, scope: &Scope, digest: &Digest) -> Result<Box<dyn Reader>> {
        self.get(scope, digest)?;
        let (step, wanted) = (format!("open blob {digest}"), digest.clone());
        let blob = self.on_disk(&step, move |blobs| match blobs.open(&wanted) {
            Err(e) if e.is_not_found() => Err(missing(&wanted)),
            opened => opened,
        });
        let (blob, gate) = (Arc::from(blob.await?), self.gate.clone());
        Ok(Box::new(Opened { blob, gate, digest: digest.clone() }))
    }

    async fn writer(&self, scope: &Scope, ingest: Ingest) -> Result<Box<dyn Writer>> {
        let (this, scope) = (self.clone(), scope.clone());
        to_end(async move { this.open_writer(scope, ingest).await }).await
    }
}

/// An open blob, read through the fence.
struct Opened {
    blob: Arc<dyn Blob>,
    gate: Arc<Gate>,
    digest: Digest,
}

#[async_trait]
impl Reader for Opened {
    fn size(&self) -> u64 {
        self.blob.size()
    }

    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes> {
        let left = self.blob.size().saturating_sub(offset);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(max);
        if length == 0 {
            return Ok(Bytes::new());
        }
        let blob = self.blob.clone();
        let step = format!("read blob {}", self.digest);
        let read = self.gate.run(&step, move || {
            let mut buffer = vec![0; length];
            let n = blob.read_at(&mut buffer, offset)?;
            buffer.truncate(n);
            Ok(Bytes::from(buffer))
        });
        read.await
    }

    fn as_file(&self) -> Option<&std::fs::File> {
        self.blob.as_file()
    }
}
