//! The OCI runtime specification 1.3, Linux part, as plain values: `config.json`, the container state, `features`.
//!
//! Reading is lenient: unknown fields are ignored, absent and `null` fields take their default. Writing leaves out
//! what has its default and is optional in the specification, so a document survives a round trip. What other
//! platforms need is carried along unread. Words from open lists (namespace types, seccomp actions, capability
//! names) are strings, because whoever acts on them decides which words it knows.

mod features;
mod linux;
mod process;
mod resources;
mod seccomp;
mod state;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

pub use features::{
    AvailabilityFeature, CgroupFeature, Features, IdmapFeature, IntelRdtFeature, LinuxFeatures,
    MemoryPolicyFeature, MountExtensions, SeccompFeature,
};
pub use linux::{
    Linux, LinuxDevice, LinuxIdMapping, LinuxIntelRdt, LinuxMemoryPolicy, LinuxNamespace, LinuxNetDevice,
    LinuxPersonality, LinuxTimeOffset,
};
pub use process::{
    ConsoleSize, ExecCpuAffinity, LinuxCapabilities, LinuxIoPriority, LinuxScheduler, PosixRlimit, Process,
    User,
};
pub use resources::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxHugepageLimit, LinuxInterfacePriority, LinuxMemory,
    LinuxNetwork, LinuxPids, LinuxRdma, LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};
pub use seccomp::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};
pub use state::{ContainerProcessState, State};

/// The newest version of the specification these types describe.
pub const VERSION: &str = "1.3.0";

/// The whole of a bundle's `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// Version of the specification the document follows (SemVer).
    #[serde(deserialize_with = "nullable")]
    pub oci_version: String,
    /// The container's process; absent when only the environment is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// Host name inside the UTS namespace; empty leaves it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub hostname: String,
    /// NIS domain name inside the UTS namespace; empty leaves it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub domainname: String,
    /// Mounts, in the order they are made.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub mounts: Vec<Mount>,
    /// Programs run at points of the life cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Free metadata.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// What Linux needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
    /// Carried along unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solaris: Option<serde_json::Value>,
    /// Carried along unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<serde_json::Value>,
    /// Carried along unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vm: Option<serde_json::Value>,
    /// Carried along unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zos: Option<serde_json::Value>,
    /// Carried along unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freebsd: Option<serde_json::Value>,
}

/// The root file system of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// Whether the root is remounted read-only at the end.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub readonly: bool,
}

/// One mount inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount {
    /// Where, as the container sees it.
    #[serde(deserialize_with = "nullable")]
    pub destination: String,
    /// File system type; ignored for bind mounts.
    #[serde(rename = "type", skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub kind: String,
    /// Device, directory or word; relative bind sources are relative to the bundle.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub source: String,
    /// Options in the manner of fstab.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub options: Vec<String>,
    /// User ids shifted by an idmapped mount.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub uid_mappings: Vec<LinuxIdMapping>,
    /// Group ids shifted by an idmapped mount.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub gid_mappings: Vec<LinuxIdMapping>,
}

/// Programs run at points of the container's life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hooks {
    /// Deprecated; runs before `create_runtime`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub prestart: Vec<Hook>,
    /// During create, in the runtime's namespaces, before the root is changed.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub create_runtime: Vec<Hook>,
    /// During create, in the container's namespaces, before the root is changed.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub create_container: Vec<Hook>,
    /// During start, in the container, before the user's program.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub start_container: Vec<Hook>,
    /// After the user's program was started, in the runtime's namespaces.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub poststart: Vec<Hook>,
    /// After the container was deleted, in the runtime's namespaces.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub poststop: Vec<Hook>,
}

/// One hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Absolute path of the program.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// Arguments from `argv[0]` on; empty means just the path.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub args: Vec<String>,
    /// The whole environment.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// Seconds until the hook is killed and counts as failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}

/// Reads `null` as the default.
fn nullable<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Whether a field may be left out.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
