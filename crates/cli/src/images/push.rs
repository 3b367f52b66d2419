//! `gantry images push`

use super::registry::{self, Registry};
use super::{progress, unless_interrupted};
use crate::{Context, context};
use anyhow::{Context as _, Result, ensure};
use model::images::{Delete, Image, Target};
use model::transfer::{Endpoint, ImageStore, Request};
use model::{Labels, Timestamp};
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
    /// Push the manifest or index of this digest, which needs no name here.
    #[arg(long, conflicts_with = "image")]
    manifest: Option<String>,
    /// What it is.
    #[arg(long, requires = "manifest", default_value = oci::media_type::OCI_MANIFEST)]
    manifest_type: String,
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
        self.refuse()?;
        let registry = self.registry.registry(&self.remote)?;
        let pushed = match &self.manifest {
            None => self.push(cx, &registry, self.image.as_deref().unwrap_or(&self.remote)).await,
            Some(digest) => self.push_manifest(cx, &registry, digest).await,
        };
        pushed.with_context(|| format!("push {}", self.remote))?;
        Ok(0)
    }

    async fn push(&self, cx: &Context, registry: &Registry, name: &str) -> Result<()> {
        let platforms = self.platform.iter().map(|p| oci::Platform::parse(p)).collect::<Result<_, _>>()?;
        let store = ImageStore { name: name.into(), platforms, ..ImageStore::default() };
        let shown = Arc::new(self.progress.shown(cx, progress::To::Out));
        let request = Request {
            source: Endpoint::ImageStore(Box::new(store)),
            destination: Endpoint::Registry(Box::new(registry.end.clone())),
            progress: Some(shown.clone()),
        };
        let pushing = async { Ok(cx.services.transfer.transfer(&cx.scope, request).await?) };
        shown.watch(registry.answering(cx, &cx.scope, pushing)).await
    }

    /// The daemon pushes by name only, so the manifest has one meanwhile.
    async fn push_manifest(&self, cx: &Context, registry: &Registry, digest: &str) -> Result<()> {
        let digest = oci::Digest::parse(digest).with_context(|| format!("--manifest {digest:?}"))?;
        let size = cx.services.content.info(&cx.scope, &digest).await?.size.cast_signed();
        let target = Target {
            media_type: self.manifest_type.clone(),
            digest: digest.to_string(),
            size,
            ..Target::default()
        };
        // For the case that nobody is left to take the name away.
        let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
        let image = Image {
            name: format!("push-{}@{digest}", context::unique()),
            labels: Labels::from([(model::labels::GC_EXPIRE.into(), tomorrow.to_string())]),
            target,
            created_at: Timestamp::NEVER,
            updated_at: Timestamp::NEVER,
        };
        let named = cx.services.images.create(&cx.scope, image, None).await?;
        let pushed = unless_interrupted(self.push(cx, registry, &named.name)).await;
        let delete = Delete { name: named.name, ..Delete::default() };
        let unnamed = cx.services.images.delete(&cx.scope, delete).await;
        pushed?;
        Ok(unnamed?)
    }

    fn refuse(&self) -> Result<()> {
        let config = "max_concurrent_uploaded_layers in the daemon's configuration says it";
        for (flag, given, why) in [
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
