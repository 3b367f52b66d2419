//! Ends of transfers and their progress across the wire.
//!
//! An end travels as an [`Any`]; which message it holds says what it is. HTTP traces of a registry (`http_debug`,
//! `logs_stream`) have no place in the model and are dropped.

use model::transfer::{Endpoint, Export, ImageReference, ImageStore, Import, Progress, Registry, Unpack};
use model::{Error, Result};
use prost::{Message, Name};

use crate::api::endpoint::{
    self, ImageExportStream, ImageImportStream, OciRegistry, RegistryResolver, UnpackConfiguration,
};
use crate::fields::list;
use crate::{Any, typeurl};

/// `NotImplemented` for what is no end of ours, `InvalidArgument` for broken bytes.
impl TryFrom<Any> for Endpoint {
    type Error = Error;
    fn try_from(any: Any) -> Result<Self> {
        Ok(match any.name() {
            typeurl::OCI_REGISTRY => Endpoint::Registry(Box::new(decode::<OciRegistry>(&any)?.into())),
            typeurl::IMAGE_STORE => {
                Endpoint::ImageStore(Box::new(decode::<endpoint::ImageStore>(&any)?.into()))
            }
            typeurl::IMAGE_IMPORT_STREAM => Endpoint::Import(decode::<ImageImportStream>(&any)?.into()),
            typeurl::IMAGE_EXPORT_STREAM => Endpoint::Export(decode::<ImageExportStream>(&any)?.into()),
            _ => return Err(Error::not_implemented(format!("transfer end {}", any.type_url))),
        })
    }
}

impl From<Endpoint> for Any {
    fn from(endpoint: Endpoint) -> Self {
        match endpoint {
            Endpoint::Registry(registry) => Any::pack(&OciRegistry::from(*registry)),
            Endpoint::ImageStore(store) => Any::pack(&endpoint::ImageStore::from(*store)),
            Endpoint::Import(import) => Any::pack(&ImageImportStream::from(import)),
            Endpoint::Export(export) => Any::pack(&ImageExportStream::from(export)),
        }
    }
}

fn decode<M: Message + Name + Default>(any: &Any) -> Result<M> {
    M::decode(any.value.clone()).map_err(|e| Error::invalid(format!("{}: {e}", any.type_url)))
}

impl From<OciRegistry> for Registry {
    fn from(wire: OciRegistry) -> Self {
        let resolver = wire.resolver.unwrap_or_default();
        Self {
            reference: wire.reference,
            headers: resolver.headers,
            host_dir: resolver.host_dir,
            default_scheme: resolver.default_scheme,
            auth_stream: resolver.auth_stream,
        }
    }
}

impl From<Registry> for OciRegistry {
    fn from(registry: Registry) -> Self {
        let resolver = RegistryResolver {
            auth_stream: registry.auth_stream,
            headers: registry.headers,
            host_dir: registry.host_dir,
            default_scheme: registry.default_scheme,
            ..Default::default()
        };
        Self { reference: registry.reference, resolver: Some(resolver) }
    }
}

impl From<endpoint::ImageStore> for ImageStore {
    fn from(wire: endpoint::ImageStore) -> Self {
        Self {
            name: wire.name,
            labels: wire.labels,
            platforms: list(wire.platforms),
            all_metadata: wire.all_metadata,
            manifest_limit: wire.manifest_limit,
            extra_references: list(wire.extra_references),
            unpacks: list(wire.unpacks),
        }
    }
}

impl From<ImageStore> for endpoint::ImageStore {
    fn from(store: ImageStore) -> Self {
        Self {
            name: store.name,
            labels: store.labels,
            platforms: list(store.platforms),
            all_metadata: store.all_metadata,
            manifest_limit: store.manifest_limit,
            extra_references: list(store.extra_references),
            unpacks: list(store.unpacks),
        }
    }
}

impl From<endpoint::ImageReference> for ImageReference {
    fn from(wire: endpoint::ImageReference) -> Self {
        Self {
            name: wire.name,
            is_prefix: wire.is_prefix,
            allow_overwrite: wire.allow_overwrite,
            add_digest: wire.add_digest,
            skip_named_digest: wire.skip_named_digest,
        }
    }
}

impl From<ImageReference> for endpoint::ImageReference {
    fn from(reference: ImageReference) -> Self {
        Self {
            name: reference.name,
            is_prefix: reference.is_prefix,
            allow_overwrite: reference.allow_overwrite,
            add_digest: reference.add_digest,
            skip_named_digest: reference.skip_named_digest,
        }
    }
}

impl From<UnpackConfiguration> for Unpack {
    fn from(wire: UnpackConfiguration) -> Self {
        Self { platform: wire.platform.map(Into::into), snapshotter: wire.snapshotter }
    }
}

impl From<Unpack> for UnpackConfiguration {
    fn from(unpack: Unpack) -> Self {
        Self { platform: unpack.platform.map(Into::into), snapshotter: unpack.snapshotter }
    }
}

impl From<ImageImportStream> for Import {
    fn from(wire: ImageImportStream) -> Self {
        Self { stream: wire.stream, media_type: wire.media_type, force_compress: wire.force_compress }
    }
}

impl From<Import> for ImageImportStream {
    fn from(import: Import) -> Self {
        Self { stream: import.stream, media_type: import.media_type, force_compress: import.force_compress }
    }
}

impl From<ImageExportStream> for Export {
    fn from(wire: ImageExportStream) -> Self {
        Self {
            stream: wire.stream,
            media_type: wire.media_type,
            platforms: list(wire.platforms),
            all_platforms: wire.all_platforms,
            skip_docker_manifest: wire.skip_compatibility_manifest,
            skip_non_distributable: wire.skip_non_distributable,
        }
    }
}

impl From<Export> for ImageExportStream {
    fn from(export: Export) -> Self {
        Self {
            stream: export.stream,
            media_type: export.media_type,
            platforms: list(export.platforms),
            all_platforms: export.all_platforms,
            skip_compatibility_manifest: export.skip_docker_manifest,
            skip_non_distributable: export.skip_non_distributable,
        }
    }
}

impl From<endpoint::Progress> for Progress {
    fn from(wire: endpoint::Progress) -> Self {
        Self {
            event: wire.event,
            name: wire.name,
            parents: wire.parents,
            progress: wire.progress,
            total: wire.total,
            descriptor: wire.desc.map(Into::into),
        }
    }
}

impl From<Progress> for endpoint::Progress {
    fn from(progress: Progress) -> Self {
        Self {
            event: progress.event,
            name: progress.name,
            parents: progress.parents,
            progress: progress.progress,
            total: progress.total,
            desc: progress.descriptor.map(Into::into),
        }
    }
}
