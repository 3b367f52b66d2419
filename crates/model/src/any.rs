//! A typed blob: a type URL and the bytes it describes.

use bytes::Bytes;

/// A value whose type is known only by name, as `google.protobuf.Any` carries it.
///
/// The value is kept byte for byte: the daemon stores and hands back payloads of types it has never heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Any {
    /// The type's URL; for protobuf messages the bare full name (`containerd.events.TaskExit`).
    pub type_url: String,
    /// The encoded value: protobuf bytes, or JSON text for the OCI types.
    pub value: Bytes,
}

impl Any {
    /// The type's name without what stands before the last `/`.
    pub fn type_name(&self) -> &str {
        self.type_url.rsplit('/').next().unwrap_or_default()
    }
}

/// The type URL of an OCI runtime spec as JSON.
pub const SPEC_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
/// The type URL of an OCI process as JSON.
pub const PROCESS_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/Process";
/// The type URL of OCI Linux resources as JSON.
pub const RESOURCES_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
/// The type URL of OCI runtime features as JSON.
pub const FEATURES_URL: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";
