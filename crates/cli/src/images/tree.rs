//! An image's blobs: manifests chosen by platform, what is there and what is missing.

use crate::{Context, content};
use anyhow::{Context as _, Result};
use model::images::Target;
use oci::{ImageConfig, Manifest, Matcher, Platform};

/// The largest manifest, index or config, in bytes.
const MAX_DOCUMENT: u64 = 8 << 20;

/// The manifest for this machine, and its config.
pub struct Chosen {
    /// The size of the documents that lead to the config: indexes and the manifest, in bytes.
    pub size: i64,
    /// The manifest.
    pub manifest: Manifest,
    /// The config.
    pub config: ImageConfig,
}

/// A small blob as JSON.
pub async fn document<T: serde::de::DeserializeOwned>(cx: &Context, digest: &oci::Digest) -> Result<T> {
    let bytes = content::read(cx, digest, MAX_DOCUMENT).await?;
    serde_json::from_slice(&bytes).with_context(|| format!("read blob {digest}"))
}

/// Finds the manifest that fits this machine best.
///
/// # Errors
/// `no match for platform` naming the image; a missing or damaged blob.
pub async fn choose(cx: &Context, name: &str, target: &Target) -> Result<Chosen> {
    choose_for(cx, (name, target), &Matcher::only(&Platform::host(""))).await
}

/// Finds the manifest that a matcher likes best.
///
/// # Errors
/// As [`choose`].
pub async fn choose_for(cx: &Context, (name, target): (&str, &Target), matcher: &Matcher) -> Result<Chosen> {
    let mut digest = target.parse_digest()?;
    let (mut media_type, mut size) = (target.media_type.clone(), target.size);
    while oci::media_type::is_index(&media_type) {
        let index: oci::Index = document(cx, &digest).await?;
        let fitting = matcher.select(&index.manifests);
        let best = fitting.first().with_context(|| {
            format!("image {name:?}: no match for platform in manifest {digest}: not found")
        })?;
        digest = best.digest.clone();
        media_type = best.media_type.clone();
        size += best.size;
    }
    let manifest: Manifest = document(cx, &digest).await?;
    let config: ImageConfig = document(cx, &manifest.config.digest).await?;
    Ok(Chosen { size, manifest, config })
}

/// The platforms an image is made for, as far as its documents are there.
pub async fn platforms(cx: &Context, target: &Target) -> Vec<String> {
    let Ok(digest) = target.parse_digest() else { return Vec::new() };
    let mut found = Vec::new();
    if oci::media_type::is_index(&target.media_type) {
        let Ok(index) = document::<oci::Index>(cx, &digest).await else { return found };
        for manifest in &index.manifests {
            match &manifest.platform {
                Some(platform) => found.push(platform.to_string()),
                None => found.extend(config_platform(cx, &manifest.digest).await),
            }
        }
    } else {
        found.extend(config_platform(cx, &digest).await);
    }
    found.retain(|p| !p.starts_with("unknown"));
    found.sort();
    found.dedup();
    found
}

async fn config_platform(cx: &Context, manifest: &oci::Digest) -> Option<String> {
    let manifest: Manifest = document(cx, manifest).await.ok()?;
    let config: ImageConfig = document(cx, &manifest.config.digest).await.ok()?;
    Some(config.platform.to_string())
}
