//! The system call filter of `config.json`.

use serde::{Deserialize, Serialize};

use super::{is_default, nullable};

/// A whole filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxSeccomp {
    /// `SCMP_ACT_…` for calls no rule names.
    #[serde(deserialize_with = "nullable")]
    pub default_action: String,
    /// Errno of the default action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_…` beside the machine's own.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_…`.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub flags: Vec<String>,
    /// Unix socket that receives the notification descriptor.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub listener_path: String,
    /// Opaque text for that listener.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub listener_metadata: String,
    /// Rules.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub syscalls: Vec<LinuxSyscall>,
}

/// One rule: these calls, with these arguments, get this action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxSyscall {
    /// Names of system calls.
    #[serde(deserialize_with = "nullable")]
    pub names: Vec<String>,
    /// `SCMP_ACT_…`.
    #[serde(deserialize_with = "nullable")]
    pub action: String,
    /// Errno or trace value of the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions, all of which must hold.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub args: Vec<LinuxSeccompArg>,
}

/// A condition on one argument of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinuxSeccompArg {
    /// Which argument, from 0.
    #[serde(deserialize_with = "nullable")]
    pub index: u32,
    /// Value compared with, or the mask of `SCMP_CMP_MASKED_EQ`.
    #[serde(deserialize_with = "nullable")]
    pub value: u64,
    /// Value compared with after masking.
    #[serde(skip_serializing_if = "is_default", deserialize_with = "nullable")]
    pub value_two: u64,
    /// `SCMP_CMP_…`.
    #[serde(deserialize_with = "nullable")]
    pub op: String,
}
