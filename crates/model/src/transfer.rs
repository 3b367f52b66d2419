//! Transfers: images between registries, archives and the image store.

use crate::{Labels, Result, Scope, images::Target};
use async_trait::async_trait;
use std::sync::Arc;

/// An end of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A registry.
    Registry(Box<Registry>),
    /// The image store.
    ImageStore(Box<ImageStore>),
    /// An archive that arrives on a stream.
    Import(Import),
    /// An archive that leaves on a stream.
    Export(Export),
}

/// A registry and how to reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registry {
    /// The image's reference.
    pub reference: String,
    /// Headers for every request.
    pub headers: Labels,
    /// The directory with `hosts.toml` files; empty for none.
    pub host_dir: String,
    /// `http` or `https` where the host's configuration does not say; empty for the rule of thumb.
    pub default_scheme: String,
    /// The stream on which to ask for credentials; empty for none.
    pub auth_stream: String,
}

/// What to keep of an image in the store, and under which names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageStore {
    /// The image's name; may be empty on import.
    pub name: String,
    /// Labels for the image record.
    pub labels: Labels,
    /// Which platforms to keep; empty for all.
    pub platforms: Vec<oci::Platform>,
    /// Keep manifests and configs of the other platforms.
    pub all_metadata: bool,
    /// How many manifests to keep; 0 for all.
    pub manifest_limit: u32,
    /// Further names.
    pub extra_references: Vec<ImageReference>,
    /// What to unpack.
    pub unpacks: Vec<Unpack>,
}

/// A further name for an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageReference {
    /// The name, or the prefix of names.
    pub name: String,
    /// It is a prefix for the names in the archive.
    pub is_prefix: bool,
    /// Names that do not begin with the prefix are taken too.
    pub allow_overwrite: bool,
    /// Also name the image `<name>@<digest>`.
    pub add_digest: bool,
    /// No digest name where there is another name.
    pub skip_named_digest: bool,
}

/// What to unpack, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpack {
    /// The platform; `None` for the host's.
    pub platform: Option<oci::Platform>,
    /// The snapshotter; empty for the default one.
    pub snapshotter: String,
}

/// An archive that arrives on a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The stream's name.
    pub stream: String,
    /// The archive's media type; empty to find out.
    pub media_type: String,
    /// Compress layers that are not.
    pub force_compress: bool,
}

/// An archive that leaves on a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// The stream's name.
    pub stream: String,
    /// The archive's media type; ignored.
    pub media_type: String,
    /// Which platforms; empty for the host's.
    pub platforms: Vec<oci::Platform>,
    /// Every platform.
    pub all_platforms: bool,
    /// Leave Docker's `manifest.json` out.
    pub skip_docker_manifest: bool,
    /// Leave layers out that may not be distributed.
    pub skip_non_distributable: bool,
}

/// One line of progress.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What happens (`downloading`, `complete`, `saved`, …).
    pub event: String,
    /// To which object.
    pub name: String,
    /// The objects it is part of.
    pub parents: Vec<String>,
    /// Bytes done.
    pub progress: i64,
    /// Bytes in all; 0 when unknown.
    pub total: i64,
    /// The object's descriptor.
    pub descriptor: Option<Target>,
}

/// Where progress goes. Reporting never waits and never fails.
pub trait ProgressSink: Send + Sync {
    /// Reports one line.
    fn report(&self, progress: Progress);
}

/// A transfer.
#[derive(Clone)]
pub struct Request {
    /// From where.
    pub source: Endpoint,
    /// To where.
    pub destination: Endpoint,
    /// Who wants to know how far it is.
    pub progress: Option<Arc<dyn ProgressSink>>,
}

/// The transfer service.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Runs a transfer to its end. Errors: `NotImplemented` for a pair of ends that nobody connects.
    async fn transfer(&self, scope: &Scope, request: Request) -> Result<()>;
}
