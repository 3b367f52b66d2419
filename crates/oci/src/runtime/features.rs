//! What a runtime can do: the output of `features`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{is_default, nullable};

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Features {
    /// Oldest specification understood.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub oci_version_min: String,
    /// Newest specification understood.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub oci_version_max: String,
    /// Hooks run.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub hooks: Vec<String>,
    /// Mount options understood.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub mount_options: Vec<String>,
    /// The Linux part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<LinuxFeatures>,
    /// Free metadata.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// Annotations that can change what a container may do.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub potentially_unsafe_config_annotations: Vec<String>,
}

/// The Linux part; `None` means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxFeatures {
    /// Namespace types.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub namespaces: Vec<String>,
    /// Capability names.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub capabilities: Vec<String>,
    /// Control groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupFeature>,
    /// System call filters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<SeccompFeature>,
    /// AppArmor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apparmor: Option<AvailabilityFeature>,
    /// SELinux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selinux: Option<AvailabilityFeature>,
    /// Intel RDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdtFeature>,
    /// NUMA policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicyFeature>,
    /// Mount extensions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mount_extensions: Option<MountExtensions>,
    /// Moving network devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_devices: Option<AvailabilityFeature>,
}

/// Control group support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CgroupFeature {
    /// Version 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v1: Option<bool>,
    /// Version 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v2: Option<bool>,
    /// Through systemd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd: Option<bool>,
    /// Through a user's systemd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub systemd_user: Option<bool>,
    /// RDMA controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rdma: Option<bool>,
}

/// Seccomp support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SeccompFeature {
    /// Whether built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Known actions.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub actions: Vec<String>,
    /// Known operators.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub operators: Vec<String>,
    /// Known architectures.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub archs: Vec<String>,
    /// Known flags.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub known_flags: Vec<String>,
    /// Flags that also the kernel knows.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub supported_flags: Vec<String>,
}

/// Whether something is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AvailabilityFeature {
    /// Whether built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// Intel RDT support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IntelRdtFeature {
    /// Whether built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Whether the `schemata` list is understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schemata: Option<bool>,
    /// Whether `enableMonitoring` is understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<bool>,
}

/// NUMA policy support.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryPolicyFeature {
    /// Known modes.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub modes: Vec<String>,
    /// Known flags.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub flags: Vec<String>,
}

/// Mount extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountExtensions {
    /// Idmapped mounts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idmap: Option<IdmapFeature>,
}

/// Idmapped mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdmapFeature {
    /// Whether built in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}
