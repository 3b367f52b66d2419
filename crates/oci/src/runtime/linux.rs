//! The Linux section of `config.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LinuxResources, LinuxSeccomp, is_default, nullable};

/// What only Linux knows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux {
    /// User ids of the user namespace.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub uid_mappings: Vec<LinuxIdMapping>,
    /// Group ids of the user namespace.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub gid_mappings: Vec<LinuxIdMapping>,
    /// Kernel parameters, dotted or slashed name to value.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub sysctl: BTreeMap<String, String>,
    /// Control group limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<LinuxResources>,
    /// Path of the control group; `slice:prefix:name` with systemd.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub cgroups_path: String,
    /// Namespaces to make or join.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub namespaces: Vec<LinuxNamespace>,
    /// Device nodes beyond the default ones.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub devices: Vec<LinuxDevice>,
    /// Network devices moved into the network namespace, by name on the host.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub net_devices: BTreeMap<String, LinuxNetDevice>,
    /// System call filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<LinuxSeccomp>,
    /// `shared`, `slave`, `private`, `unbindable` and their `r` forms; empty is `rslave`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub rootfs_propagation: String,
    /// Paths hidden from the container.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub masked_paths: Vec<String>,
    /// Paths made read-only.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub readonly_paths: Vec<String>,
    /// SELinux context of mounts.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub mount_label: String,
    /// Intel cache and memory bandwidth allocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<LinuxIntelRdt>,
    /// NUMA policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<LinuxMemoryPolicy>,
    /// Execution domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<LinuxPersonality>,
    /// Clock offsets of the time namespace: `monotonic`, `boottime`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub time_offsets: BTreeMap<String, LinuxTimeOffset>,
}

/// One line of a uid_map or gid_map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxIdMapping {
    /// First id inside.
    #[serde(rename = "containerID", deserialize_with = "nullable")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID", deserialize_with = "nullable")]
    pub host_id: u32,
    /// How many.
    #[serde(deserialize_with = "nullable")]
    pub size: u32,
}

/// A namespace to make (no path) or join.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxNamespace {
    /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup` or `time`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// File of an existing namespace; empty makes a new one.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub path: String,
}

/// A device node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxDevice {
    /// Path inside the container.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Major number.
    #[serde(deserialize_with = "nullable")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "nullable")]
    pub minor: i64,
    /// Permission bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group inside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// A network device to move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxNetDevice {
    /// Name inside the container; empty keeps it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub name: String,
}

/// Intel RDT settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxIntelRdt {
    /// Class of service directory.
    #[serde(rename = "closID", skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub clos_id: String,
    /// Lines of the schemata file.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub schemata: Vec<String>,
    /// L3 cache line of the schemata file.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub l3_cache_schema: String,
    /// Memory bandwidth line of the schemata file.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub mem_bw_schema: String,
    /// Whether a monitoring group is made.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub enable_monitoring: bool,
}

/// Arguments of set_mempolicy(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxMemoryPolicy {
    /// `MPOL_BIND` and so on.
    #[serde(deserialize_with = "nullable")]
    pub mode: String,
    /// Node list such as `0-3,7`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub nodes: String,
    /// `MPOL_F_STATIC_NODES` and so on.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub flags: Vec<String>,
}

/// Argument of personality(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxPersonality {
    /// `LINUX` or `LINUX32`.
    #[serde(deserialize_with = "nullable")]
    pub domain: String,
    /// None are defined yet.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub flags: Vec<String>,
}

/// Offset of one clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxTimeOffset {
    /// Seconds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub secs: i64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub nanosecs: u32,
}
