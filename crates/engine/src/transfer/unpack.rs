//! Unpacking: an image's layers become a chain of committed snapshots.
//!
//! A snapshot's name is its chain id, so that images share what they have in common. Whoever comes second to a layer
//! waits for the first and then finds it done.

use super::documents::{self, ForPlatform};
use crate::fresh;
use async_trait::async_trait;
use model::content::Content;
use model::diff::{Apply, Diff};
use model::snapshots::{Commit, Prepare, Snapshotter};
use model::transfer::Unpack;
use model::{Error, Labels, Mask, Result, Scope, labels};
use oci::{Descriptor, Digest, ImageConfig};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, Weak};
use tokio::sync::Mutex;

/// How often a layer is tried when others interfere.
const TRIES: usize = 3;

/// Turns layers into snapshots.
pub struct Unpacker {
    content: Arc<dyn Content>,
    diff: Arc<dyn Diff>,
    snapshotters: BTreeMap<String, Arc<dyn Snapshotter>>,
    busy: std::sync::Mutex<HashMap<String, Weak<Mutex<()>>>>,
}

/// Who brings the layers, and wants to know what becomes of them.
#[async_trait]
pub trait Supply: Send + Sync {
    /// Returns once a layer is in the content store.
    async fn arrived(&self, layer: &Descriptor);
    /// A layer becomes a snapshot.
    fn extracting(&self, _layer: &Descriptor) {}
    /// A layer became a snapshot.
    fn extracted(&self, _layer: &Descriptor) {}
}

/// Layers that are in the content store already.
struct Here;

#[async_trait]
impl Supply for Here {
    async fn arrived(&self, _: &Descriptor) {}
}

/// One layer on its way.
struct Layer<'a> {
    snapshotter: &'a dyn Snapshotter,
    supply: &'a dyn Supply,
    descriptor: &'a Descriptor,
    diff_id: &'a Digest,
    chain_id: String,
    parent: String,
}

impl Unpacker {
    /// An unpacker over the daemon's services.
    pub fn new(
        content: Arc<dyn Content>,
        diff: Arc<dyn Diff>,
        snapshotters: BTreeMap<String, Arc<dyn Snapshotter>>,
    ) -> Self {
        Self { content, diff, snapshotters, busy: std::sync::Mutex::default() }
    }

    /// Unpacks an image for a snapshotter; layers that are there are not touched. `scope` holds a lease.
    ///
    /// # Errors
    /// `NotFound` (a blob), `InvalidArgument` (the documents contradict each other), what the differ says.
    pub async fn unpack(&self, scope: &Scope, image: &ForPlatform, name: &str) -> Result<()> {
        self.unpack_from(scope, (image, name), &Here).await
    }

    /// The same with layers that may still be on their way: each is unpacked as soon as it is there.
    ///
    /// # Errors
    /// As [`Unpacker::unpack`].
    pub async fn unpack_from(
        &self,
        scope: &Scope,
        (image, name): (&ForPlatform, &str),
        supply: &dyn Supply,
    ) -> Result<()> {
        let snapshotter = self.snapshotter(name)?;
        let config = documents::config(&*self.content, scope, &image.manifest).await?;
        if !config.is_layered() {
            return Ok(());
        }
        let pairs = pair(image, &config)?;
        let mut parent = String::new();
        for ((descriptor, diff_id), chain_id) in
            pairs.into_iter().zip(oci::chain_ids(&config.rootfs.diff_ids))
        {
            let chain_id = chain_id.to_string();
            let layer =
                Layer { snapshotter, supply, descriptor, diff_id, chain_id: chain_id.clone(), parent };
            self.layer(scope, &layer, name)
                .await
                .map_err(|e| e.during(format!("unpack layer {}", descriptor.digest)))?;
            parent = chain_id;
        }
        let held = (format!("{}{name}", labels::GC_REF_SNAPSHOT), parent);
        self.label(scope, &image.manifest.config.digest, held).await
    }

    fn snapshotter(&self, name: &str) -> Result<&dyn Snapshotter> {
        let found =
            self.snapshotters.get(name).ok_or_else(|| Error::not_found(format!("snapshotter {name}")))?;
        Ok(&**found)
    }

    /// The chain ids of an image, the lowest first. Its config is in the content store.
    ///
    /// # Errors
    /// `NotFound`, `InvalidArgument` (the documents contradict each other).
    pub async fn chain(&self, scope: &Scope, image: &ForPlatform) -> Result<Vec<String>> {
        let config = documents::config(&*self.content, scope, &image.manifest).await?;
        if !config.is_layered() {
            return Ok(Vec::new());
        }
        pair(image, &config)?;
        Ok(oci::chain_ids(&config.rootfs.diff_ids).iter().map(Digest::to_string).collect())
    }

    /// Whether a snapshotter has a chain id.
    ///
    /// # Errors
    /// `NotFound` (the snapshotter), what it says.
    pub async fn has(&self, scope: &Scope, snapshotter: &str, chain_id: &str) -> Result<bool> {
        match self.snapshotter(snapshotter)?.stat(scope, chain_id).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn layer(&self, scope: &Scope, layer: &Layer<'_>, snapshotter: &str) -> Result<()> {
        if self.has(scope, snapshotter, &layer.chain_id).await? {
            return Ok(());
        }
        // Nobody else waits for this one's registry.
        layer.supply.arrived(layer.descriptor).await;
        let turn = self.turn(format!("{} {snapshotter} {}", scope.namespace, layer.chain_id));
        let _turn = turn.lock().await;
        let mut last = Error::unavailable("no try was made");
        for _ in 0..TRIES {
            if self.has(scope, snapshotter, &layer.chain_id).await? {
                return Ok(());
            }
            match self.extract(scope, layer).await {
                Err(e) if e.is_already_exists() => last = e,
                other => return other,
            }
        }
        Err(last)
    }

    /// Refuses an unpacking that cannot be, before anything is done.
    ///
    /// # Errors
    /// `InvalidArgument`: a snapshotter is not there.
    pub fn check(&self, unpacks: &[Unpack]) -> Result<()> {
        for unpack in unpacks {
            self.snapshotter(snapshotter(unpack)).map_err(|e| {
                let text = "unable to initialize unpacker: no unpack platforms defined";
                Error::invalid(format!("{text}: {}", e.text()))
            })?;
        }
        Ok(())
    }

    /// The lock of one layer, shared by all who want it now.
    fn turn(&self, key: String) -> Arc<Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = busy.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Mutex::new(()));
        busy.insert(key, Arc::downgrade(&turn));
        turn
    }

    async fn extract(&self, scope: &Scope, layer: &Layer<'_>) -> Result<()> {
        layer.supply.extracting(layer.descriptor);
        let key = format!("extract-{} {}", fresh::name(), layer.chain_id);
        let labels = layer.labels();
        let prepare = Prepare { key: key.clone(), parent: layer.parent.clone(), labels: labels.clone() };
        let mounts = layer.snapshotter.prepare(scope, prepare).await?;
        let filled = self.fill(scope, layer, mounts).await;
        let commit = Commit { name: layer.chain_id.clone(), key: key.clone(), labels, parent: String::new() };
        let done = match filled {
            Ok(()) => layer.snapshotter.commit(scope, commit).await,
            Err(e) => Err(e),
        };
        let Err(error) = done else {
            layer.supply.extracted(layer.descriptor);
            let uncompressed = layer.diff_id.to_string();
            return self
                .label(scope, &layer.descriptor.digest, (labels::UNCOMPRESSED.into(), uncompressed))
                .await;
        };
        match layer.snapshotter.remove(scope, &key).await {
            Err(e) if !e.is_not_found() => Err(error.beside(e)),
            _ => Err(error),
        }
    }

    async fn fill(&self, scope: &Scope, layer: &Layer<'_>, mounts: Vec<model::Mount>) -> Result<()> {
        let apply = Apply { diff: documents::target(layer.descriptor), mounts, ..Apply::default() };
        let applied = self.diff.apply(scope, apply).await?;
        if applied.digest != layer.diff_id.to_string() {
            return Err(Error::unknown(format!(
                "wrong diff id {} calculated on extraction, the image's config says {}: the layer or the config is damaged",
                applied.digest, layer.diff_id
            )));
        }
        Ok(())
    }

    async fn label(&self, scope: &Scope, digest: &Digest, label: (String, String)) -> Result<()> {
        let (key, value) = label;
        let mut info = self.content.info(scope, digest).await?;
        if info.labels.get(&key) == Some(&value) {
            return Ok(());
        }
        info.labels = Labels::from([(key.clone(), value)]);
        self.content.update(scope, info, Mask(vec![format!("labels.{key}")])).await.map(drop)
    }
}

impl Layer<'_> {
    fn labels(&self) -> Labels {
        let passed = |key: &str| key.starts_with(labels::SNAPSHOT);
        let mut all: Labels = self
            .descriptor
            .annotations
            .iter()
            .filter(|(k, _)| passed(k))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        all.insert(labels::SNAPSHOT_REF.into(), self.chain_id.clone());
        all.insert(format!("{}diff-id", labels::SNAPSHOT), self.diff_id.to_string());
        if !self.parent.is_empty() {
            all.insert(format!("{}parent-chain-id", labels::SNAPSHOT), self.parent.clone());
        }
        all
    }
}

/// The snapshotter that an image is unpacked for.
pub fn snapshotter(unpack: &Unpack) -> &str {
    if unpack.snapshotter.is_empty() { "overlayfs" } else { &unpack.snapshotter }
}

/// Layers with their diffIDs.
fn pair<'a>(image: &'a ForPlatform, config: &'a ImageConfig) -> Result<Vec<(&'a Descriptor, &'a Digest)>> {
    let layers: Vec<_> =
        image.manifest.layers.iter().filter(|l| oci::media_type::is_layer(&l.media_type)).collect();
    let diff_ids = &config.rootfs.diff_ids;
    if layers.len() != diff_ids.len() {
        return Err(Error::invalid(format!(
            "number of layers and diffIDs don't match: {} != {} in manifest {}",
            layers.len(),
            diff_ids.len(),
            image.descriptor.digest
        )));
    }
    Ok(layers.into_iter().zip(diff_ids).collect())
}
