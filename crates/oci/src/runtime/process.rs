//! The process of a container: who it is, what it runs, what it may.

use serde::{Deserialize, Serialize};

use super::{is_default, nullable};

/// A process to run in a container: its first one, or one added by exec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Process {
    /// Whether a pseudo terminal is made for it.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub terminal: bool,
    /// First size of that terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// User and groups.
    #[serde(deserialize_with = "nullable")]
    pub user: User,
    /// `argv`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub args: Vec<String>,
    /// Windows only.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub command_line: String,
    /// Environment as `KEY=value`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// Working directory, absolute.
    #[serde(deserialize_with = "nullable")]
    pub cwd: String,
    /// Capability sets; absent keeps those of the runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<LinuxCapabilities>,
    /// Resource limits.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub rlimits: Vec<PosixRlimit>,
    /// Sets `no_new_privs`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub no_new_privileges: bool,
    /// AppArmor profile.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub apparmor_profile: String,
    /// Value for `/proc/self/oom_score_adj`; absent inherits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// Scheduling policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<LinuxScheduler>,
    /// SELinux label.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub selinux_label: String,
    /// I/O scheduling class and priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<LinuxIoPriority>,
    /// CPUs of an exec before and after it joins the cgroup.
    #[serde(rename = "execCPUAffinity", skip_serializing_if = "Option::is_none")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity>,
}

/// Terminal size in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleSize {
    /// Rows.
    #[serde(deserialize_with = "nullable")]
    pub height: u64,
    /// Columns.
    #[serde(deserialize_with = "nullable")]
    pub width: u64,
}

/// User and groups of a process, as numbers inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    /// User id.
    #[serde(deserialize_with = "nullable")]
    pub uid: u32,
    /// Group id.
    #[serde(deserialize_with = "nullable")]
    pub gid: u32,
    /// File mode creation mask; absent is 0022.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary groups.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub additional_gids: Vec<u32>,
    /// Windows only.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub username: String,
}

/// The five capability sets, by name (`CAP_KILL`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxCapabilities {
    /// Upper limit for anything executed.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub bounding: Vec<String>,
    /// In force.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub effective: Vec<String>,
    /// Kept over exec of files that ask for them.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub inheritable: Vec<String>,
    /// May be put in force.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub permitted: Vec<String>,
    /// Kept over exec of any file.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub ambient: Vec<String>,
}

/// One resource limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PosixRlimit {
    /// Name such as `RLIMIT_NOFILE`.
    #[serde(rename = "type", deserialize_with = "nullable")]
    pub kind: String,
    /// Hard limit.
    #[serde(deserialize_with = "nullable")]
    pub hard: u64,
    /// Soft limit.
    #[serde(deserialize_with = "nullable")]
    pub soft: u64,
}

/// Arguments of sched_setattr(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxScheduler {
    /// `SCHED_OTHER`, `SCHED_FIFO`, `SCHED_RR`, `SCHED_BATCH`, `SCHED_ISO`, `SCHED_IDLE` or `SCHED_DEADLINE`.
    #[serde(deserialize_with = "nullable")]
    pub policy: String,
    /// Nice value.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub nice: i32,
    /// Static priority of the real-time policies.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub priority: i32,
    /// Flags such as `SCHED_FLAG_RESET_ON_FORK`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub flags: Vec<String>,
    /// Deadline policy: budget in nanoseconds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub runtime: u64,
    /// Deadline policy: deadline in nanoseconds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub deadline: u64,
    /// Deadline policy: period in nanoseconds.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub period: u64,
}

/// Arguments of ioprio_set(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinuxIoPriority {
    /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
    #[serde(deserialize_with = "nullable")]
    pub class: String,
    /// 0 (highest) to 7.
    #[serde(deserialize_with = "nullable")]
    pub priority: i32,
}

/// CPU lists of an exec.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecCpuAffinity {
    /// Before it joins the container's cgroup.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub initial: String,
    /// After.
    #[serde(rename = "final", skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub last: String,
}
