//! `gantry images convert`
//!
//! Documents are read, changed and written again from the leaves to the root; what does not change keeps its digest.
//! A document that is written names what it refers to in its labels, so that the collector keeps that too. Not here:
//! EROFS.

use super::uncompress::uncompress;
use super::unless_interrupted;
use crate::{Context, Output, content, context, output};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use model::content::{Commit, Ingest};
use model::images::{Image, Target, Update};
use model::{Labels, Mask, Scope, Timestamp};
use oci::media_type::{self, Compression};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Matcher, Platform, manifest};
use serde_json::json;

/// The largest manifest, index or config, in bytes.
const MAX_DOCUMENT: u64 = 8 << 20;

/// Make another form of an image.
#[derive(Debug, clap::Args)]
pub struct Convert {
    /// Layers without compression.
    #[arg(long)]
    uncompress: bool,
    /// OCI's media types instead of Docker's.
    #[arg(long)]
    oci: bool,
    /// Only these platforms; the machine's by default.
    #[arg(long, conflicts_with = "all_platforms")]
    platform: Vec<String>,
    /// Every platform.
    #[arg(long)]
    all_platforms: bool,
    /// Not offered.
    #[arg(long, hide = true)]
    erofs: Option<String>,
    /// The image.
    source: String,
    /// The name of the other form.
    target: String,
}

/// What is to be done to every document.
struct Conversion<'a> {
    cx: &'a Context,
    scope: &'a Scope,
    uncompress: bool,
    oci: bool,
    platforms: Matcher,
}

impl Convert {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        ensure!(self.erofs.is_none(), "--erofs is not offered: gantry makes no EROFS layers");
        let platforms = self.platforms()?;
        let source = cx.services.images.get(&cx.scope, &self.source).await?;
        let converting = async |scope: &Scope| {
            let (uncompress, oci) = (self.uncompress, self.oci);
            let conversion = Conversion { cx, scope, uncompress, oci, platforms };
            let root = unless_interrupted(conversion.convert(&descriptor(&source.target)?)).await?;
            name(cx, scope, &self.target, (&source, &root)).await?;
            Ok(root.digest)
        };
        let digest = cx.leased(converting).await.with_context(|| format!("convert {}", self.source))?;
        match cx.output {
            Output::Table => output::line(digest)?,
            Output::Json => output::json(&json!({"name": self.target, "digest": digest.to_string()}))?,
        }
        Ok(0)
    }

    fn platforms(&self) -> Result<Matcher> {
        if self.all_platforms {
            return Ok(Matcher::All);
        }
        if self.platform.is_empty() {
            return Ok(Matcher::only_strict(&Platform::host("")));
        }
        let wanted = self.platform.iter().map(|p| Platform::parse(p)).collect::<Result<Vec<_>, _>>()?;
        Ok(Matcher::any(&wanted))
    }
}

impl Conversion<'_> {
    /// The other form of a document or layer.
    async fn convert(&self, from: &Descriptor) -> Result<Descriptor> {
        match from.media_type.as_str() {
            kind if media_type::is_index(kind) => Box::pin(self.index(from)).await,
            kind if media_type::is_manifest(kind) => self.manifest(from).await,
            _ => Ok(self.retyped(from)),
        }
    }

    async fn index(&self, from: &Descriptor) -> Result<Descriptor> {
        let bytes = self.read(from).await?;
        let before =
            Index::parse(&bytes, &from.media_type).with_context(|| format!("read {}", from.digest))?;
        let mut after = before.clone();
        after.manifests.clear();
        for entry in &before.manifests {
            if entry.platform.as_ref().is_none_or(|platform| self.platforms.matches(platform)) {
                after.manifests.push(self.convert(entry).await?);
            }
        }
        let digest = &from.digest;
        ensure!(
            before.manifests.is_empty() || !after.manifests.is_empty(),
            "no match for platform in index {digest}: not found"
        );
        let to = self.retyped(from);
        if to.media_type == from.media_type && after == before {
            return Ok(from.clone());
        }
        after.media_type = to.media_type.clone();
        let labels = labels(&after.manifests);
        self.write(to, serde_json::to_vec(&after)?, labels).await
    }

    async fn manifest(&self, from: &Descriptor) -> Result<Descriptor> {
        let bytes = self.read(from).await?;
        let before =
            Manifest::parse(&bytes, &from.media_type).with_context(|| format!("read {}", from.digest))?;
        let diff_ids = self.diff_ids(&before).await?;
        let mut after = before.clone();
        after.config = self.retyped(&before.config);
        for (number, layer) in after.layers.iter_mut().enumerate() {
            *layer = self.layer(layer, diff_ids.get(number)).await?;
        }
        let to = self.retyped(from);
        if to.media_type == from.media_type && after == before {
            return Ok(from.clone());
        }
        after.media_type = to.media_type.clone();
        let mut children = vec![after.config.clone()];
        children.extend(after.layers.iter().cloned());
        self.write(to, serde_json::to_vec(&after)?, labels(&children)).await
    }

    /// The digests that the layers have without compression; none if the config is no image's.
    async fn diff_ids(&self, manifest: &Manifest) -> Result<Vec<Digest>> {
        if !self.uncompress || !media_type::is_image_config(&manifest.config.media_type) {
            return Ok(Vec::new());
        }
        let bytes = self.read(&manifest.config).await?;
        let config: ImageConfig =
            serde_json::from_slice(&bytes).with_context(|| format!("read {}", manifest.config.digest))?;
        Ok(config.rootfs.diff_ids)
    }

    async fn layer(&self, from: &Descriptor, diff_id: Option<&Digest>) -> Result<Descriptor> {
        let mut to = self.retyped(from);
        let packed =
            matches!(media_type::compression(&from.media_type), Some(Compression::Gzip | Compression::Zstd));
        if !self.uncompress || !packed {
            return Ok(to);
        }
        to.media_type = media_type::uncompressed(&to.media_type).into();
        to.data.clear();
        let unpacked = uncompress(self.cx, self.scope, from, diff_id).await;
        (to.digest, to.size) = unpacked.with_context(|| format!("uncompress layer {}", from.digest))?;
        Ok(to)
    }

    /// A descriptor with the media type it gets.
    fn retyped(&self, from: &Descriptor) -> Descriptor {
        let mut to = from.clone();
        if self.oci {
            to.media_type = media_type::to_oci(&from.media_type).into();
        }
        to
    }

    async fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        content::read(self.cx, &descriptor.digest, MAX_DOCUMENT).await
    }

    /// Writes a document and describes it.
    async fn write(&self, mut to: Descriptor, bytes: Vec<u8>, labels: Labels) -> Result<Descriptor> {
        let written = Descriptor::of(to.media_type.clone(), &bytes);
        (to.digest, to.size) = (written.digest, written.size);
        to.data.clear();
        let expected = to.digest.to_string();
        let reference = format!("convert-{}-{expected}", context::unique());
        let ingest = Ingest { reference, total: to.size, expected: expected.clone() };
        let (services, length) = (&self.cx.services.content, bytes.len());
        let writing = async {
            let mut writer = services.writer(self.scope, ingest).await?;
            // The daemon may have the bytes already, for another namespace.
            let begun = usize::try_from(writer.status().await?.offset).unwrap_or(usize::MAX);
            writer.write(Bytes::from(bytes).split_off(begun.min(length))).await?;
            writer.commit(Commit { size: to.size, expected, labels: labels.clone() }).await
        };
        match writing.await {
            Err(e) if e.is_already_exists() => {
                let mut info = services.info(self.scope, &to.digest).await?;
                let mask = labels.keys().map(|key| format!("labels.{key}")).collect();
                info.labels = labels;
                services.update(self.scope, info, Mask(mask)).await?;
            }
            other => drop(other?),
        }
        Ok(to)
    }
}

/// The labels with which a document holds what it refers to.
fn labels(children: &[Descriptor]) -> Labels {
    manifest::gc_labels(children).into_iter().map(|(key, digest)| (key, digest.to_string())).collect()
}

fn descriptor(target: &Target) -> Result<Descriptor> {
    let digest = target.parse_digest()?;
    let mut descriptor = Descriptor::new(target.media_type.clone(), digest, target.size);
    descriptor.annotations = target.annotations.clone();
    Ok(descriptor)
}

/// Names the other form; it has the labels of the first.
async fn name(cx: &Context, scope: &Scope, name: &str, (source, root): (&Image, &Descriptor)) -> Result<()> {
    let target = Target {
        media_type: root.media_type.clone(),
        digest: root.digest.to_string(),
        size: root.size,
        annotations: root.annotations.clone(),
    };
    let labels = source.labels.clone();
    let (created_at, updated_at) = (Timestamp::NEVER, Timestamp::NEVER);
    let image = Image { name: name.into(), labels, target, created_at, updated_at };
    match cx.services.images.create(scope, image.clone(), cx.source_date).await {
        Err(e) if e.is_already_exists() => {
            let update = Update { image, mask: Mask::default(), source_date: cx.source_date };
            cx.services.images.update(scope, update).await?;
        }
        other => drop(other?),
    }
    Ok(())
}
