//! An image's documents: index, manifest, config, and which manifest is for whom.

use model::content::Content;
use model::images::Target;
use model::{Error, Labels, Mask, Result, Scope};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Matcher, Platform, media_type};
use std::collections::HashSet;

/// How many documents one image may have.
pub const MAX_DOCUMENTS: usize = 2000;
/// The largest document, in bytes.
const MAX: u64 = 8 << 20;

/// A manifest and the platform it is for.
#[derive(Clone, Debug)]
pub struct ForPlatform {
    /// The manifest's descriptor.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The platform: the descriptor's, else the config's.
    pub platform: Platform,
}

/// A descriptor as the image store keeps it.
pub fn target(descriptor: &Descriptor) -> Target {
    Target {
        media_type: descriptor.media_type.clone(),
        digest: descriptor.digest.to_string(),
        size: descriptor.size,
        annotations: descriptor.annotations.clone(),
    }
}

/// A stored target as a descriptor.
///
/// # Errors
/// `InvalidArgument` when its digest is none.
pub fn descriptor(target: &Target) -> Result<Descriptor> {
    let mut descriptor = Descriptor::new(&target.media_type, target.parse_digest()?, target.size);
    descriptor.annotations.clone_from(&target.annotations);
    Ok(descriptor)
}

/// A small blob, whole.
///
/// # Errors
/// `NotFound`; `InvalidArgument` for one that is too large to be a document.
pub async fn read(content: &dyn Content, scope: &Scope, digest: &Digest) -> Result<Vec<u8>> {
    let reader = content.reader(scope, digest).await?;
    if reader.size() > MAX {
        let text =
            format!("blob {digest} has {} bytes and cannot be a manifest, index or config", reader.size());
        return Err(Error::invalid(text));
    }
    let mut bytes = Vec::with_capacity(reader.size() as usize);
    while (bytes.len() as u64) < reader.size() {
        let part = reader.read_at(bytes.len() as u64, MAX as usize).await?;
        if part.is_empty() {
            return Err(Error::data_loss(format!("blob {digest} ends after {} bytes", bytes.len())));
        }
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

/// Refuses a document that is too large to be read, before anybody fetches it.
///
/// # Errors
/// `InvalidArgument`.
pub fn check_size(document: &Descriptor) -> Result<()> {
    let kind = &document.media_type;
    let is_read =
        media_type::is_index(kind) || media_type::is_manifest(kind) || media_type::is_image_config(kind);
    if is_read && document.size > MAX as i64 {
        let text = format!("{} of {} bytes: at most {MAX} bytes are read", document.ref_key(), document.size);
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// What a document refers to; nothing for a blob that is no document.
///
/// # Errors
/// `NotFound`; `InvalidArgument` for a document whose shape belies its type.
pub async fn children(content: &dyn Content, scope: &Scope, of: &Descriptor) -> Result<Vec<Descriptor>> {
    if !media_type::is_index(&of.media_type) && !media_type::is_manifest(&of.media_type) {
        return Ok(Vec::new());
    }
    let bytes = read(content, scope, &of.digest).await?;
    oci::children(&of.media_type, &bytes).map_err(|e| Error::invalid(format!("{}: {e}", of.digest)))
}

/// Hangs a document's children on its blob, so that they live as long as it does.
///
/// # Errors
/// `NotFound`.
pub async fn hold(
    content: &dyn Content,
    scope: &Scope,
    of: &Descriptor,
    children: &[Descriptor],
) -> Result<()> {
    if children.is_empty() {
        return Ok(());
    }
    let labels: Labels =
        oci::manifest::gc_labels(children).into_iter().map(|(k, digest)| (k, digest.to_string())).collect();
    let mask = Mask(labels.keys().map(|key| format!("labels.{key}")).collect());
    let mut info = content.info(scope, &of.digest).await?;
    if labels.iter().all(|(key, value)| info.labels.get(key) == Some(value)) {
        return Ok(());
    }
    info.labels = labels;
    content.update(scope, info, mask).await.map(drop)
}

/// The manifest's config.
///
/// # Errors
/// `NotFound`; `InvalidArgument` when it is none.
pub async fn config(content: &dyn Content, scope: &Scope, manifest: &Manifest) -> Result<ImageConfig> {
    let bytes = read(content, scope, &manifest.config.digest).await?;
    ImageConfig::parse(&bytes).map_err(|e| Error::invalid(format!("config {}: {e}", manifest.config.digest)))
}

/// Every manifest below a descriptor whose documents are here, with its platform.
///
/// # Errors
/// `InvalidArgument` for a damaged document.
pub async fn manifests(content: &dyn Content, scope: &Scope, root: &Descriptor) -> Result<Vec<ForPlatform>> {
    let mut found = Vec::new();
    let mut seen = Seen::new(root);
    let mut waiting = vec![root.clone()];
    while let Some(next) = waiting.pop() {
        if !seen.is_new(&next)? {
            continue;
        }
        let bytes = match read(content, scope, &next.digest).await {
            Err(e) if e.is_not_found() && next.digest != root.digest => continue,
            other => other?,
        };
        let wrong = |e: oci::manifest::DocumentError| Error::invalid(format!("{}: {e}", next.digest));
        if media_type::is_index(&next.media_type) {
            let index = Index::parse(&bytes, &next.media_type).map_err(wrong)?;
            waiting.extend(index.manifests.into_iter().rev());
        } else if media_type::is_manifest(&next.media_type) {
            let manifest = Manifest::parse(&bytes, &next.media_type).map_err(wrong)?;
            let platform = match &next.platform {
                Some(platform) => Some(platform.clone()),
                None => config(content, scope, &manifest).await.ok().map(|c| c.platform),
            };
            if let Some(platform) = platform {
                found.push(ForPlatform { descriptor: next, manifest, platform });
            }
        }
    }
    Ok(found)
}

/// The documents of one image that were looked at: each counts once, and there is an end to their number.
pub struct Seen {
    root: Digest,
    documents: HashSet<Digest>,
}

impl Seen {
    /// Nothing of this image was looked at.
    pub fn new(root: &Descriptor) -> Self {
        Self { root: root.digest.clone(), documents: HashSet::new() }
    }

    /// Whether this is a document that was not looked at before.
    ///
    /// # Errors
    /// `ResourceExhausted`: there are too many.
    pub fn is_new(&mut self, next: &Descriptor) -> Result<bool> {
        if !media_type::is_index(&next.media_type) && !media_type::is_manifest(&next.media_type) {
            return Ok(false);
        }
        let is_new = self.documents.insert(next.digest.clone());
        if self.documents.len() > MAX_DOCUMENTS {
            return Err(too_many(&self.root));
        }
        Ok(is_new)
    }
}

/// The error of an image without an end.
pub fn too_many(root: &Digest) -> Error {
    Error::exhausted(format!("image {root}: more than {MAX_DOCUMENTS} documents"))
}

/// The manifest that fits a platform best.
pub fn best<'a>(manifests: &'a [ForPlatform], matcher: &Matcher) -> Option<&'a ForPlatform> {
    manifests
        .iter()
        .filter(|m| matcher.matches(&m.platform))
        .min_by(|a, b| matcher.compare(&a.platform, &b.platform))
}
