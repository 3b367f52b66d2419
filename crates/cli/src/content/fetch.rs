//! `gantry content fetch`

use crate::Context;
use crate::context::parse_labels;
use crate::images::{progress, registry};
use anyhow::{Context as _, Result, ensure};
use model::transfer::{Endpoint, ImageStore, Request};
use oci::Platform;
use std::sync::Arc;

/// Bring an image's content from a registry and leave it packed.
#[derive(Debug, clap::Args)]
pub struct Fetch {
    #[command(flatten)]
    registry: registry::Flags,
    #[command(flatten)]
    progress: progress::Flag,
    /// Labels for the image, key=value.
    #[arg(long)]
    label: Vec<String>,
    /// Only these platforms; this machine's by default.
    #[arg(long, conflicts_with = "all_platforms")]
    platform: Vec<String>,
    /// Every platform.
    #[arg(long)]
    all_platforms: bool,
    /// Leave the manifests and configs of other platforms out. Such an image may not be pushed.
    #[arg(long)]
    skip_metadata: bool,
    /// Not offered: whoever fetches an image fetches its layers.
    #[arg(long, hide = true)]
    metadata_only: bool,
    /// The image.
    reference: String,
}

impl Fetch {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        ensure!(!self.metadata_only, "--metadata-only is not offered: the daemon takes whole images");
        let registry = self.registry.registry(&self.reference)?;
        let shown = Arc::new(self.progress.shown(cx, progress::To::Out));
        let request = Request {
            source: Endpoint::Registry(Box::new(registry.end.clone())),
            destination: Endpoint::ImageStore(Box::new(self.store()?)),
            progress: Some(shown.clone()),
        };
        let fetching = async { Ok(cx.services.transfer.transfer(&cx.scope, request).await?) };
        let done = shown.watch(registry.answering(cx, &cx.scope, fetching)).await;
        done.with_context(|| format!("fetch {}", self.reference))?;
        Ok(0)
    }

    fn store(&self) -> Result<ImageStore> {
        let mut platforms =
            self.platform.iter().map(|p| Platform::parse(p)).collect::<Result<Vec<_>, _>>()?;
        if platforms.is_empty() && !self.all_platforms {
            platforms.push(Platform::host(""));
        }
        Ok(ImageStore {
            name: self.reference.clone(),
            labels: parse_labels(&self.label)?,
            platforms,
            all_metadata: !self.skip_metadata,
            ..ImageStore::default()
        })
    }
}
