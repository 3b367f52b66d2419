//! `gantry images push`

use super::{progress, registry};
use crate::Context;
use anyhow::{Context as _, Result, ensure};
use model::transfer::{Endpoint, ImageStore, Request};
use std::sync::Arc;

/// Bring an image to a registry.
#[derive(Debug, clap::Args)]
pub struct Push {
    #[command(flatten)]
    registry: registry::Flags,
    #[command(flatten)]
    progress: progress::Flag,
    /// Only these platforms.
    #[arg(long)]
    platform: Vec<String>,
    /// Not offered: an image is pushed by its name.
    #[arg(long, hide = true)]
    manifest: Option<String>,
    /// Not offered: an image is pushed by its name.
    #[arg(long, hide = true)]
    manifest_type: Option<String>,
    /// Not offered: the daemon's configuration says it.
    #[arg(long, hide = true)]
    max_concurrent_uploaded_layers: Option<u32>,
    /// Not offered: the registry's rules are not to be broken from here.
    #[arg(long, hide = true)]
    allow_non_distributable_blobs: bool,
    /// The image's name at the registry.
    remote: String,
    /// The image's name here, if it is another.
    #[arg(value_name = "LOCAL")]
    image: Option<String>,
}

impl Push {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let registry = self.registry.registry(&self.remote)?;
        self.refuse()?;
        let platforms = self.platform.iter().map(|p| oci::Platform::parse(p)).collect::<Result<_, _>>()?;
        let name = self.image.clone().unwrap_or_else(|| self.remote.clone());
        let shown = Arc::new(self.progress.shown(cx, progress::To::Out));
        let request = Request {
            source: Endpoint::ImageStore(Box::new(ImageStore { name, platforms, ..ImageStore::default() })),
            destination: Endpoint::Registry(Box::new(registry.end.clone())),
            progress: Some(shown.clone()),
        };
        let pushing = async { Ok(cx.services.transfer.transfer(&cx.scope, request).await?) };
        shown
            .watch(registry.answering(cx, &cx.scope, pushing))
            .await
            .with_context(|| format!("push {}", self.remote))?;
        Ok(0)
    }

    fn refuse(&self) -> Result<()> {
        let by_name = "name the manifest first (`gantry images tag`) and push it by its name";
        let config = "max_concurrent_uploaded_layers in the daemon's configuration says it";
        for (flag, given, why) in [
            ("--manifest", self.manifest.is_some(), by_name),
            ("--manifest-type", self.manifest_type.is_some(), by_name),
            ("--max-concurrent-uploaded-layers", self.max_concurrent_uploaded_layers.is_some(), config),
            (
                "--allow-non-distributable-blobs",
                self.allow_non_distributable_blobs,
                "the daemon leaves out what it has not got",
            ),
        ] {
            ensure!(!given, "{flag} is not offered: {why}");
        }
        Ok(())
    }
}
