//! `gantry images pull`

use super::{progress, registry, tree};
use crate::{Context, output};
use anyhow::{Context as _, Result, ensure};
use model::transfer::{Endpoint, ImageStore, Request, Unpack};
use std::sync::Arc;

/// Bring an image from a registry, and unpack it.
#[derive(Debug, clap::Args)]
pub struct Pull {
    #[command(flatten)]
    registry: registry::Flags,
    #[command(flatten)]
    progress: progress::Flag,
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// Labels for the image, key=value.
    #[arg(long)]
    label: Vec<String>,
    /// Only these platforms.
    #[arg(long, conflicts_with = "all_platforms")]
    platform: Vec<String>,
    /// Every platform; none is unpacked.
    #[arg(long)]
    all_platforms: bool,
    /// Leave the manifests and configs of other platforms out. Such an image may not be pushed.
    #[arg(long)]
    skip_metadata: bool,
    /// What is done unless --skip-metadata says otherwise.
    #[arg(long, hide = true, conflicts_with = "skip_metadata")]
    all_metadata: bool,
    /// Do not unpack.
    #[arg(long)]
    no_unpack: bool,
    /// Print the name of the top snapshot.
    #[arg(long)]
    print_chainid: bool,
    /// Not offered: the daemon's configuration says it.
    #[arg(long, hide = true)]
    max_concurrent_downloads: Option<u32>,
    /// Has no effect: the daemon's configuration says it.
    #[arg(long, hide = true)]
    sync_fs: bool,
    /// The image.
    reference: String,
}

impl Pull {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let registry = self.registry.registry(&self.reference)?;
        ensure!(
            self.max_concurrent_downloads.is_none(),
            "--max-concurrent-downloads is not offered: max_concurrent_downloads in the daemon's configuration says it"
        );
        let store = self.store()?;
        let shown = Arc::new(self.progress.shown(cx, progress::To::Out));
        let request = Request {
            source: Endpoint::Registry(Box::new(registry.end.clone())),
            destination: Endpoint::ImageStore(Box::new(store)),
            progress: Some(shown.clone()),
        };
        let pulling = async { Ok(cx.services.transfer.transfer(&cx.scope, request).await?) };
        shown
            .watch(registry.answering(cx, &cx.scope, pulling))
            .await
            .with_context(|| format!("pull {}", self.reference))?;
        if self.print_chainid {
            self.print_chain_id(cx).await?;
        }
        Ok(0)
    }

    /// Prints the name of the top snapshot, of the first platform asked for.
    async fn print_chain_id(&self, cx: &Context) -> Result<()> {
        let image = cx.services.images.get(&cx.scope, &self.reference).await?;
        let first = self.platform.first().map(|p| oci::Platform::parse(p)).transpose()?;
        let matcher = oci::Matcher::only(&first.unwrap_or_else(|| oci::Platform::host("")));
        let chosen = tree::choose_for(cx, (&self.reference, &image.target), &matcher).await?;
        let chain_id = oci::chain_id(&chosen.config.rootfs.diff_ids);
        let chain_id = chain_id.with_context(|| format!("image {:?} has no layers", self.reference))?;
        output::line(format!("image chain ID: {chain_id}"))
    }

    fn store(&self) -> Result<ImageStore> {
        let mut platforms =
            self.platform.iter().map(|p| oci::Platform::parse(p)).collect::<Result<Vec<_>, _>>()?;
        if platforms.is_empty() && !self.all_platforms {
            platforms.push(oci::Platform::host(""));
        }
        let unpack = |platform: &oci::Platform| Unpack {
            platform: Some(platform.clone()),
            snapshotter: self.snapshotter.clone(),
        };
        let unpacks = if self.no_unpack { Vec::new() } else { platforms.iter().map(unpack).collect() };
        Ok(ImageStore {
            name: self.reference.clone(),
            labels: crate::context::parse_labels(&self.label)?,
            platforms,
            all_metadata: !self.skip_metadata,
            unpacks,
            ..ImageStore::default()
        })
    }
}
