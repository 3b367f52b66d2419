//! The media types of images and what each of them is.
//!
//! A type is text; these functions only classify it. Unknown types are never an error here.

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI empty JSON object, config of artifacts.
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI layout header file.
pub const OCI_LAYOUT_HEADER: &str = "application/vnd.oci.layout.header.v1+json";
/// OCI layer, plain tar.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI layer, gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI layer, zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// OCI layer that must not be pushed, plain tar.
pub const OCI_LAYER_NONDISTRIBUTABLE: &str = "application/vnd.oci.image.layer.nondistributable.v1.tar";
/// OCI layer that must not be pushed, gzip.
pub const OCI_LAYER_NONDISTRIBUTABLE_GZIP: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
/// OCI layer that must not be pushed, zstd.
pub const OCI_LAYER_NONDISTRIBUTABLE_ZSTD: &str =
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd";
/// Docker schema 2 manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker schema 1 manifest: refused everywhere.
pub const DOCKER_SCHEMA1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
/// Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker layer, plain tar.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker layer, gzip.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// Docker layer, zstd.
pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
/// Docker foreign layer, plain tar.
pub const DOCKER_LAYER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar";
/// Docker foreign layer, gzip.
pub const DOCKER_LAYER_FOREIGN_GZIP: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
/// Native erofs layer.
pub const EROFS_LAYER: &str = "application/vnd.erofs.layer.v1";
/// Native erofs layer inside zstd.
pub const EROFS_LAYER_ZSTD: &str = "application/vnd.erofs.layer.v1+zstd";
/// In-toto attestation.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// Checkpoint: the CRIU image directory.
pub const CHECKPOINT_CRIU: &str = "application/vnd.containerd.container.criu.checkpoint.criu.tar";
/// Checkpoint: a pre-dump.
pub const CHECKPOINT_PREDUMP: &str = "application/vnd.containerd.container.criu.checkpoint.predump.tar";
/// Checkpoint: a resource.
pub const CHECKPOINT_RESOURCE: &str = "application/vnd.containerd.container.resource.tar";
/// Checkpoint: the writable layer.
pub const CHECKPOINT_RW: &str = "application/vnd.containerd.container.rw.tar";
/// Checkpoint: the container's spec.
pub const CHECKPOINT_CONFIG: &str = "application/vnd.containerd.container.checkpoint.config.v1+proto";
/// Checkpoint: the options.
pub const CHECKPOINT_OPTIONS: &str = "application/vnd.containerd.container.checkpoint.options.v1+proto";
/// Checkpoint: the runtime's name.
pub const CHECKPOINT_RUNTIME_NAME: &str = "application/vnd.containerd.container.checkpoint.runtime.name";
/// Checkpoint: the runtime's options.
pub const CHECKPOINT_RUNTIME_OPTIONS: &str =
    "application/vnd.containerd.container.checkpoint.runtime.options+proto";
/// Legacy Docker config type seen on old manifests.
pub const LEGACY_CONFIG: &str = "application/octet-stream";

const OCI_LAYER_PREFIX: &str = "application/vnd.oci.image.layer.";

/// How a layer's bytes are packed, as its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Plain tar.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// The type does not tell (Docker's plain type, encrypted layers): look at the bytes.
    Unknown,
}

/// Cuts `+suffix` parts off: `a+b+c` → (`a`, `[b, c]`).
fn split(media_type: &str) -> (&str, Vec<&str>) {
    let mut parts = media_type.split('+');
    (parts.next().unwrap_or_default(), parts.collect())
}

/// A manifest of one image.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | DOCKER_MANIFEST)
}

/// A list of manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, OCI_INDEX | DOCKER_MANIFEST_LIST)
}

/// A config of a kind we know, checkpoints included.
pub fn is_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG | CHECKPOINT_CRIU | CHECKPOINT_CONFIG)
}

/// An image's own config (not a checkpoint's).
pub fn is_image_config(media_type: &str) -> bool {
    matches!(media_type, OCI_CONFIG | DOCKER_CONFIG)
}

/// A layer that goes into a root file system.
pub fn is_layer(media_type: &str) -> bool {
    media_type.starts_with(OCI_LAYER_PREFIX)
        || matches!(
            split(media_type).0,
            DOCKER_LAYER
                | DOCKER_LAYER_GZIP
                | DOCKER_LAYER_ZSTD
                | DOCKER_LAYER_FOREIGN
                | DOCKER_LAYER_FOREIGN_GZIP
                | EROFS_LAYER
        )
}

/// A layer that its owner does not let others push.
pub fn is_nondistributable(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
        || matches!(split(media_type).0, DOCKER_LAYER_FOREIGN | DOCKER_LAYER_FOREIGN_GZIP)
}

/// A statement about an image.
pub fn is_attestation(media_type: &str) -> bool {
    media_type == IN_TOTO
}

/// One of Docker's schema 2 types.
pub fn is_docker(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.")
}

/// How a layer of this type is packed; `None` if the type is no layer's.
pub fn compression(media_type: &str) -> Option<Compression> {
    let (stem, suffixes) = split(media_type);
    let known = match stem {
        DOCKER_LAYER | DOCKER_LAYER_FOREIGN => Compression::Unknown,
        DOCKER_LAYER_GZIP | DOCKER_LAYER_FOREIGN_GZIP => Compression::Gzip,
        DOCKER_LAYER_ZSTD => Compression::Zstd,
        OCI_LAYER | OCI_LAYER_NONDISTRIBUTABLE | EROFS_LAYER => match suffixes.last() {
            None => Compression::None,
            Some(&"gzip") => Compression::Gzip,
            Some(&"zstd") => Compression::Zstd,
            Some(_) => Compression::Unknown,
        },
        _ => return None,
    };
    let docker_with_suffix = stem.starts_with("application/vnd.docker.") && !suffixes.is_empty();
    Some(if docker_with_suffix { Compression::Unknown } else { known })
}

/// The same layer type without its compression; other types come back as they are.
pub fn uncompressed(media_type: &str) -> &str {
    match media_type {
        OCI_LAYER_GZIP | OCI_LAYER_ZSTD => OCI_LAYER,
        OCI_LAYER_NONDISTRIBUTABLE_GZIP | OCI_LAYER_NONDISTRIBUTABLE_ZSTD => OCI_LAYER_NONDISTRIBUTABLE,
        DOCKER_LAYER_GZIP | DOCKER_LAYER_ZSTD => DOCKER_LAYER,
        DOCKER_LAYER_FOREIGN_GZIP => DOCKER_LAYER_FOREIGN,
        EROFS_LAYER_ZSTD => EROFS_LAYER,
        other => other,
    }
}

/// The OCI name of a Docker type; other types come back as they are.
pub fn to_oci(media_type: &str) -> &str {
    match media_type {
        DOCKER_MANIFEST => OCI_MANIFEST,
        DOCKER_MANIFEST_LIST => OCI_INDEX,
        DOCKER_CONFIG => OCI_CONFIG,
        DOCKER_LAYER => OCI_LAYER,
        DOCKER_LAYER_GZIP => OCI_LAYER_GZIP,
        DOCKER_LAYER_ZSTD => OCI_LAYER_ZSTD,
        DOCKER_LAYER_FOREIGN => OCI_LAYER_NONDISTRIBUTABLE,
        DOCKER_LAYER_FOREIGN_GZIP => OCI_LAYER_NONDISTRIBUTABLE_GZIP,
        other => other,
    }
}

/// The word an ingest's ref begins with: `manifest`, `index`, `layer`, `config`, `attestation` or `unknown`.
pub fn ref_word(media_type: &str) -> &'static str {
    match media_type {
        t if is_manifest(t) => "manifest",
        t if is_index(t) => "index",
        t if is_layer(t) => "layer",
        t if is_config(t) => "config",
        t if is_attestation(t) => "attestation",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_their_packing() {
        for (media_type, want) in [
            (OCI_LAYER, Some(Compression::None)),
            (OCI_LAYER_GZIP, Some(Compression::Gzip)),
            (OCI_LAYER_ZSTD, Some(Compression::Zstd)),
            (OCI_LAYER_NONDISTRIBUTABLE_GZIP, Some(Compression::Gzip)),
            ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", Some(Compression::Unknown)),
            (DOCKER_LAYER, Some(Compression::Unknown)),
            (DOCKER_LAYER_GZIP, Some(Compression::Gzip)),
            (DOCKER_LAYER_ZSTD, Some(Compression::Zstd)),
            (DOCKER_LAYER_FOREIGN_GZIP, Some(Compression::Gzip)),
            (EROFS_LAYER_ZSTD, Some(Compression::Zstd)),
            (OCI_MANIFEST, None),
            ("text/plain", None),
        ] {
            assert_eq!(compression(media_type), want, "{media_type}");
            assert_eq!(is_layer(media_type), want.is_some(), "{media_type}");
        }
    }

    #[test]
    fn refs_begin_with_the_kind() {
        for (media_type, want) in [
            (OCI_MANIFEST, "manifest"),
            (DOCKER_MANIFEST_LIST, "index"),
            (DOCKER_LAYER_FOREIGN, "layer"),
            (DOCKER_CONFIG, "config"),
            (CHECKPOINT_CONFIG, "config"),
            (IN_TOTO, "attestation"),
            (LEGACY_CONFIG, "unknown"),
        ] {
            assert_eq!(ref_word(media_type), want, "{media_type}");
        }
    }

    #[test]
    fn foreign_layers_are_not_pushed() {
        for (media_type, want) in [
            (OCI_LAYER_NONDISTRIBUTABLE_ZSTD, true),
            (DOCKER_LAYER_FOREIGN_GZIP, true),
            (OCI_LAYER_GZIP, false),
        ] {
            assert_eq!(is_nondistributable(media_type), want, "{media_type}");
        }
        assert_eq!(to_oci(DOCKER_LAYER_FOREIGN_GZIP), OCI_LAYER_NONDISTRIBUTABLE_GZIP);
        assert_eq!(uncompressed(to_oci(DOCKER_LAYER_GZIP)), OCI_LAYER);
    }
}
