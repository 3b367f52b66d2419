//! Unpacking: an image's layers become a chain of committed snapshots.

use super::tree::{self, Chosen};
use crate::Context;
use anyhow::{Context as _, Result, ensure};
use model::images::{Image, Target};
use model::snapshots::{Commit, Prepare};
use model::{Labels, Mask, Scope};
use oci::{Descriptor, Digest, ImageConfig};

/// An image whose layers are all snapshots.
pub struct Unpacked {
    /// The image.
    pub image: Image,
    /// Its config.
    pub config: ImageConfig,
    /// The name of the top snapshot.
    pub chain_id: Digest,
}

/// Unpacks what is not unpacked yet. `scope` holds a lease.
pub async fn unpack(cx: &Context, scope: &Scope, name: &str, snapshotter: &str) -> Result<Unpacked> {
    let image = cx.services.images.get(scope, name).await?;
    let chosen = tree::choose(cx, name, &image.target).await?;
    let layers = &chosen.manifest.layers;
    let diff_ids = &chosen.config.rootfs.diff_ids;
    ensure!(
        layers.len() == diff_ids.len() && !layers.is_empty(),
        "image {name:?}: its manifest has {} layers and its config {} diffIDs",
        layers.len(),
        diff_ids.len()
    );
    let chain = oci::chain_ids(diff_ids);
    let snapshots = cx.snapshotter(snapshotter);
    let mut parent = String::new();
    for ((layer, diff_id), chain_id) in layers.iter().zip(diff_ids).zip(&chain) {
        let step = Layer { descriptor: layer, diff_id, chain_id, parent: &parent };
        match snapshots.stat(scope, &chain_id.to_string()).await {
            Ok(_) => {}
            Err(e) if e.is_not_found() => {
                step.unpack(cx, scope, snapshotter)
                    .await
                    .with_context(|| format!("unpack layer {}", layer.digest))?;
            }
            Err(e) => return Err(e.into()),
        }
        parent = chain_id.to_string();
    }
    let chain_id = chain.last().cloned().context("no layers")?;
    label_config(cx, scope, &chosen, snapshotter, &chain_id).await?;
    Ok(Unpacked { image, config: chosen.config, chain_id })
}

struct Layer<'a> {
    descriptor: &'a Descriptor,
    diff_id: &'a Digest,
    chain_id: &'a Digest,
    parent: &'a str,
}

impl Layer<'_> {
    async fn unpack(&self, cx: &Context, scope: &Scope, snapshotter: &str) -> Result<()> {
        let snapshots = cx.snapshotter(snapshotter);
        let key = format!(
            "extract-{}-{} {}",
            jiff::Timestamp::now().as_nanosecond(),
            std::process::id(),
            self.chain_id
        );
        let prepare = Prepare { key: key.clone(), parent: self.parent.into(), labels: Labels::new() };
        let mounts = snapshots.prepare(scope, prepare).await?;
        let committed = self.fill(cx, scope, (snapshotter, &key), mounts).await;
        if committed.is_err() {
            snapshots.remove(scope, &key).await?;
        }
        committed
    }

    async fn fill(
        &self,
        cx: &Context,
        scope: &Scope,
        (snapshotter, key): (&str, &str),
        mounts: Vec<model::Mount>,
    ) -> Result<()> {
        let diff = target(self.descriptor);
        let apply = model::diff::Apply { diff, mounts, ..model::diff::Apply::default() };
        let applied = cx.services.diff.apply(scope, apply).await?;
        ensure!(
            applied.digest == self.diff_id.to_string(),
            "wrong diff id {} calculated, the image's config says {}: the layer is damaged or the image is wrong",
            applied.digest,
            self.diff_id
        );
        let commit = Commit { name: self.chain_id.to_string(), key: key.into(), ..Commit::default() };
        match cx.snapshotter(snapshotter).commit(scope, commit).await {
            Err(e) if e.is_already_exists() => cx.snapshotter(snapshotter).remove(scope, key).await?,
            other => other?,
        }
        Ok(())
    }
}

/// Hangs the top snapshot on the config blob, so that it lives as long as the image.
async fn label_config(
    cx: &Context,
    scope: &Scope,
    chosen: &Chosen,
    snapshotter: &str,
    chain_id: &Digest,
) -> Result<()> {
    let key = format!("{}{snapshotter}", model::labels::GC_REF_SNAPSHOT);
    let mut info = cx.services.content.info(scope, &chosen.config_descriptor.digest).await?;
    if info.labels.get(&key).is_some_and(|value| *value == chain_id.to_string()) {
        return Ok(());
    }
    info.labels = Labels::from([(key.clone(), chain_id.to_string())]);
    cx.services.content.update(scope, info, Mask(vec![format!("labels.{key}")])).await?;
    Ok(())
}

fn target(descriptor: &Descriptor) -> Target {
    Target {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: descriptor.annotations.clone(),
    }
}
