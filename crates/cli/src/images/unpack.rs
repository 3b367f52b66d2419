//! Unpacking: an image's layers become a chain of committed snapshots.

use super::tree;
use crate::{Context, output};
use anyhow::{Context as _, Result, ensure};
use model::images::{Image, Target};
use model::snapshots::{Commit, Prepare, Snapshotter};
use model::{Labels, Mask, Scope};
use oci::{Descriptor, Digest, ImageConfig, Matcher, Platform};
use std::io::IsTerminal;

/// An image whose layers are all snapshots.
pub struct Unpacked {
    /// The image.
    pub image: Image,
    /// Its config.
    pub config: ImageConfig,
    /// The name of the top snapshot.
    pub chain_id: Digest,
}

/// What to unpack, and how.
pub struct Wanted<'a> {
    /// The image.
    pub name: &'a str,
    /// The snapshotter.
    pub snapshotter: &'a str,
    /// Which of its manifests.
    pub matcher: Matcher,
    /// Bring every layer to the disk before it gets its name.
    pub sync_fs: bool,
}

impl<'a> Wanted<'a> {
    /// An image for one platform, this machine's if none is given.
    ///
    /// # Errors
    /// The text is no platform.
    pub fn new(name: &'a str, snapshotter: &'a str, platform: Option<&str>) -> Result<Self> {
        let platform = platform.map(Platform::parse).transpose()?.unwrap_or_else(|| Platform::host(""));
        Ok(Self { name, snapshotter, matcher: Matcher::only(&platform), sync_fs: false })
    }
}

/// Unpacks what is not unpacked yet. `scope` holds a lease.
pub async fn unpack(cx: &Context, scope: &Scope, wanted: &Wanted<'_>) -> Result<Unpacked> {
    let Wanted { name, snapshotter, matcher, sync_fs } = wanted;
    let (name, snapshotter, sync_fs) = (*name, *snapshotter, *sync_fs);
    let image = cx.services.images.get(scope, name).await?;
    let chosen = tree::choose_for(cx, (name, &image.target), matcher).await?;
    let layers = &chosen.manifest.layers;
    let diff_ids = &chosen.config.rootfs.diff_ids;
    ensure!(
        layers.len() == diff_ids.len(),
        "image {name:?}: its manifest has {} layers and its config {} diffIDs",
        layers.len(),
        diff_ids.len()
    );
    let chain = oci::chain_ids(diff_ids);
    let chain_id = chain.last().cloned().with_context(|| format!("image {name:?} has no layers"))?;
    let snapshots = cx.snapshotter(snapshotter);
    let mut parent = String::new();
    for ((layer, diff_id), chain_id) in layers.iter().zip(diff_ids).zip(&chain) {
        let step = Layer { cx, scope, snapshots: &*snapshots, descriptor: layer, diff_id, chain_id, sync_fs };
        step.ensure(&parent).await.with_context(|| format!("unpack layer {}", layer.digest))?;
        parent = chain_id.to_string();
    }
    hold(cx, scope, &chosen.manifest.config.digest, (snapshotter, &chain_id)).await?;
    Ok(Unpacked { image, config: chosen.config, chain_id })
}

struct Layer<'a> {
    cx: &'a Context,
    scope: &'a Scope,
    snapshots: &'a dyn Snapshotter,
    descriptor: &'a Descriptor,
    diff_id: &'a Digest,
    chain_id: &'a Digest,
    sync_fs: bool,
}

impl Layer<'_> {
    /// Unpacks the layer on top of its parent, if it is not there.
    async fn ensure(&self, parent: &str) -> Result<()> {
        let name = self.chain_id.to_string();
        match self.snapshots.stat(self.scope, &name).await {
            Err(e) if e.is_not_found() => {}
            other => return Ok(other.map(drop)?),
        }
        if std::io::stderr().is_terminal() {
            eprintln!("unpacking {} ({})", self.descriptor.digest, output::binary_size(self.descriptor.size));
        }
        let key = format!("extract-{} {name}", crate::context::unique());
        // A snapshotter that has the layer from elsewhere knows it by this label and answers that it exists.
        let labels = Labels::from([(model::labels::SNAPSHOT_REF.into(), name)]);
        let prepare = Prepare { key: key.clone(), parent: parent.into(), labels };
        let mounts = match self.snapshots.prepare(self.scope, prepare).await {
            Err(e) if e.is_already_exists() => return Ok(()),
            other => other?,
        };
        match self.fill(&key, mounts).await {
            Ok(Committed::ByUs) => Ok(()),
            Ok(Committed::ByAnother) => Ok(self.snapshots.remove(self.scope, &key).await?),
            Err(e) => {
                if let Err(second) = self.snapshots.remove(self.scope, &key).await {
                    output::complain(&second.into());
                }
                Err(e)
            }
        }
    }

    async fn fill(&self, key: &str, mounts: Vec<model::Mount>) -> Result<Committed> {
        let diff = target(self.descriptor);
        let apply =
            model::diff::Apply { diff, mounts, sync_fs: self.sync_fs, ..model::diff::Apply::default() };
        let applied = self.cx.services.diff.apply(self.scope, apply).await?;
        ensure!(
            applied.digest == self.diff_id.to_string(),
            "wrong diff id {} calculated, the image's config says {}: the layer is damaged or the image is wrong",
            applied.digest,
            self.diff_id
        );
        let commit = Commit { name: self.chain_id.to_string(), key: key.into(), ..Commit::default() };
        match self.snapshots.commit(self.scope, commit).await {
            Err(e) if e.is_already_exists() => Ok(Committed::ByAnother),
            other => Ok(other.map(|()| Committed::ByUs)?),
        }
    }
}

/// Who made a layer's snapshot first.
enum Committed {
    ByUs,
    ByAnother,
}

/// Hangs the top snapshot on the config blob, so that it lives as long as the image.
async fn hold(
    cx: &Context,
    scope: &Scope,
    config: &Digest,
    (snapshotter, chain_id): (&str, &Digest),
) -> Result<()> {
    let key = format!("{}{snapshotter}", model::labels::GC_REF_SNAPSHOT);
    let mut info = cx.services.content.info(scope, config).await?;
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
