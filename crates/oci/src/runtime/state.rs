//! What a runtime tells about a running container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_default, nullable};

/// The state document: output of `state`, standard input of hooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    #[serde(deserialize_with = "nullable")]
    pub oci_version: String,
    /// Name of the container.
    #[serde(deserialize_with = "nullable")]
    pub id: String,
    /// `creating`, `created`, `running`, `paused` or `stopped`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// First process; 0 when stopped.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub pid: i32,
    /// Absolute path of the bundle.
    #[serde(deserialize_with = "nullable")]
    pub bundle: String,
    /// Annotations of `config.json`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
}

/// What is sent to a seccomp listener together with the notification descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerProcessState {
    /// Version of the specification.
    #[serde(deserialize_with = "nullable")]
    pub oci_version: String,
    /// Names of the descriptors sent, in order: `seccompFd`.
    #[serde(deserialize_with = "nullable")]
    pub fds: Vec<String>,
    /// Process the filter was loaded for.
    #[serde(deserialize_with = "nullable")]
    pub pid: i32,
    /// `listenerMetadata` of the filter.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub metadata: String,
    /// The container.
    #[serde(deserialize_with = "nullable")]
    pub state: State,
}
