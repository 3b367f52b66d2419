//! Diffs: the chain of differs behind the diff service.
//!
//! The differs are asked in the configured order; the first that does not answer `NotImplemented` decides. Layers go by
//! as streams: neither a layer nor a diff is ever in memory as a whole.

use crate::disk::{Gate, Pace, to_end};
use crate::{fresh, pipe};
use async_trait::async_trait;
use model::content::{Blobs, Commit, Content, Ingest, Writer};
use model::diff::{Applied, Apply, BlobStream, Compare, Diff, Driver};
use model::images::Target;
use model::{Error, Kind, Labels, Mask, Result, Scope, labels};
use oci::media_type;
use std::io::Write;
use std::sync::Arc;
use tokio::sync::oneshot;

/// The diff service.
#[derive(Clone)]
pub struct Diffs {
    drivers: Vec<Arc<dyn Driver>>,
    content: Arc<dyn Content>,
    blobs: Arc<dyn Blobs>,
    sync_fs: bool,
    gate: Arc<Gate>,
}

/// Whether every applied layer is made durable, whatever the request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Only where the request asks for it.
    Asked,
    /// Always.
    Always,
}

impl Diffs {
    /// A service over differs, in the order in which they are asked.
    pub fn new(
        drivers: Vec<Arc<dyn Driver>>,
        content: Arc<dyn Content>,
        blobs: Arc<dyn Blobs>,
        durability: Durability,
    ) -> Self {
        let gate = Gate::new("differs", Pace::Layer);
        Self { drivers, content, blobs, sync_fs: durability == Durability::Always, gate }
    }

    async fn apply_with(&self, driver: Arc<dyn Driver>, apply: Arc<Apply>) -> Result<Applied> {
        let (blobs, step) = (self.blobs.clone(), format!("apply layer {}", apply.diff.digest));
        let work = move || {
            let digest = apply.diff.parse_digest()?;
            let blob = blobs.open(&digest)?;
            driver.apply(&apply, &mut BlobStream::new(blob.into()))
        };
        self.gate.run(&step, work).await
    }

    async fn compare_with(
        &self,
        driver: Arc<dyn Driver>,
        compare: Arc<Compare>,
        writer: &mut dyn Writer,
    ) -> Result<Applied> {
        let (mut pieces, mut receiver) = pipe::outward();
        let step = format!("make layer {}", compare.reference);
        let writing = self.gate.run(&step, move || {
            let applied = driver.compare(&compare, &mut pieces)?;
            pieces.flush().map_err(|e| Error::unknown(format!("write diff: {e}")))?;
            Ok(applied)
        });
        let storing = async move {
            while let Some(piece) = receiver.recv().await {
                writer.write(piece).await?;
            }
            Ok::<_, Error>(())
        };
        // When the store fails the receiver goes, and the differ ends at its next piece.
        tokio::try_join!(writing, storing).map(|(applied, ())| applied)
    }
}

#[async_trait]
impl Diff for Diffs {
    async fn apply(&self, scope: &Scope, mut apply: Apply) -> Result<Target> {
        let absent = || {
            Error::not_found(format!(
                "failed to get reader from content store: content digest {}",
                apply.diff.digest
            ))
        };
        let digest = apply.diff.parse_digest().map_err(|_| absent())?;
        match self.content.info(scope, &digest).await {
            Err(e) if e.is_not_found() => return Err(absent()),
            other => other?,
        };
        apply.sync_fs |= self.sync_fs;
        let media = apply.diff.media_type.clone();
        let apply = Arc::new(apply);
        for driver in &self.drivers {
            match self.apply_with(driver.clone(), apply.clone()).await {
                Err(e) if e.kind() == Kind::NotImplemented => {}
                Err(e) => return Err(e),
                Ok(applied) => {
                    return Ok(target(media_type::OCI_LAYER, applied.diff_id.to_string(), applied.size));
                }
            }
        }
        let text = format!("failed to get stream processor for {media}: no processor for media-type");
        Err(Error::new(Kind::Unknown, text))
    }

    async fn compare(&self, scope: &Scope, mut compare: Compare) -> Result<Target> {
        if compare.media_type.is_empty() {
            compare.media_type = media_type::OCI_LAYER_GZIP.into();
        }
        if !compare.reference.is_empty() {
            return self.compare_into(scope, compare).await;
        }
        let (this, scope) = (self.clone(), scope.clone());
        let (caller, gone) = oneshot::channel::<()>();
        let done = to_end(async move { this.compare_anew(scope, compare, gone).await }).await;
        drop(caller);
        done
    }
}

impl Diffs {
    /// Compares into an ingest of which nobody else knows: if no blob comes of it, it goes, also when the caller goes
    /// first.
    async fn compare_anew(
        &self,
        scope: Scope,
        mut compare: Compare,
        gone: oneshot::Receiver<()>,
    ) -> Result<Target> {
        let reference = fresh::name();
        compare.reference.clone_from(&reference);
        let compared = tokio::select! {
            compared = self.compare_into(&scope, compare) => compared,
            _ = gone => Err(Error::cancelled("diff")),
        };
        let Err(error) = compared else { return compared };
        match self.content.abort(&scope, &reference).await {
            Err(second) if !second.is_not_found() => Err(error.beside(second)),
            _ => Err(error),
        }
    }

    async fn compare_into(&self, scope: &Scope, compare: Compare) -> Result<Target> {
        let ingest = Ingest { reference: compare.reference.clone(), ..Ingest::default() };
        let compare = Arc::new(compare);
        for driver in &self.drivers {
            let mut writer = self.content.writer(scope, ingest.clone()).await?;
            writer.truncate().await?;
            let applied = match self.compare_with(driver.clone(), compare.clone(), &mut *writer).await {
                Err(e) if e.kind() == Kind::NotImplemented => continue,
                other => other?,
            };
            return self.keep(scope, &compare, (writer, applied)).await;
        }
        Err(Error::not_implemented(format!("unsupported diff media type: {}", compare.media_type)))
    }

    /// Commits the diff's bytes as a blob; one that is there already gets the label too.
    async fn keep(
        &self,
        scope: &Scope,
        compare: &Compare,
        (mut writer, applied): (Box<dyn Writer>, Applied),
    ) -> Result<Target> {
        let size = writer.status().await?.offset;
        let mut wanted = compare.labels.clone();
        if media_type::uncompressed(&compare.media_type) != compare.media_type {
            wanted.insert(labels::UNCOMPRESSED.into(), applied.diff_id.to_string());
        }
        let digest = writer.digest().await?;
        let commit = Commit { size: size as i64, expected: digest.to_string(), labels: wanted.clone() };
        match writer.commit(commit).await {
            Err(e) if e.is_already_exists() => self.relabel(scope, &digest, &wanted).await?,
            other => {
                other?;
            }
        }
        Ok(target(&compare.media_type, digest.to_string(), size))
    }

    async fn relabel(&self, scope: &Scope, digest: &oci::Digest, wanted: &Labels) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let mut info = self.content.info(scope, digest).await?;
        info.labels.clone_from(wanted);
        let mask = Mask(wanted.keys().map(|key| format!("labels.{key}")).collect());
        self.content.update(scope, info, mask).await.map(drop)
    }
}

fn target(media_type: &str, digest: String, size: u64) -> Target {
    Target { media_type: media_type.into(), digest, size: size as i64, ..Target::default() }
}
