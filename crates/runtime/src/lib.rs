//! The embedded OCI runtime.
//!
//! Every verb that makes a process ([`Create`], [`Exec`]) must be called from a single-threaded process, because
//! it forks and goes on working in the child; it checks this. The caller's descriptors 0, 1 and 2 become those of
//! the container unless the process asks for a terminal. The other verbs may be called from anywhere.
//!
//! Programs that embed it do two things at their start. They execute themselves again by
//! [`kernel::process::run_sealed`], so that no container can ever write to their file (CVE-2019-5736). And if they fork
//! for each create, they ask [`kernel::cgroup::version`] once before, so that the forks inherit what it has found out
//! about the host.
//!
//! Not here: checkpoint and restore, rootless operation, SELinux labels of mounts, Intel RDT, addresses of moved network
//! devices.

mod bundle;
pub mod cli;
mod create;
mod error;
mod exec;
mod features;
mod hooks;
mod init;
mod lifecycle;
mod placement;
mod privileges;
mod program;
mod query;
pub mod resources;
mod rootfs;
pub mod seccomp;
mod spawn;
mod state;
mod sync;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use create::{Create, Created};
pub use error::{Error, Kind, Result};
pub use exec::Exec;
pub use features::features;
pub use lifecycle::{Deletion, Target, delete, kill, pause, resume, start, update};
pub use query::{Summary, list, ps, state};

/// Where the master side of a process's terminal goes.
#[derive(Debug, Default)]
pub enum Console {
    /// Nowhere: the process must not ask for a terminal.
    #[default]
    None,
    /// To whoever listens at this unix socket, with `SCM_RIGHTS`.
    Socket(PathBuf),
    /// Through this connected unix socket, with `SCM_RIGHTS`.
    Fd(OwnedFd),
}

/// Whose child the new process becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// The caller's own child.
    #[default]
    Caller,
    /// A child of the caller's parent: for a shim that forks a child to make the call.
    CallersParent,
}

/// Settings of create and exec that callers seldom change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Whose child the new process becomes.
    pub parent: Parent,
    /// Move the root mount instead of pivot_root(2); for roots on a ramdisk.
    pub no_pivot: bool,
    /// Keep the caller's session keyring.
    pub no_new_keyring: bool,
    /// `cgroupsPath` is `slice:prefix:name`.
    pub systemd_cgroup: bool,
    /// Exec only: go on although the container is paused.
    pub ignore_paused: bool,
    /// How many descriptors from 3 on the process keeps.
    pub preserve_fds: u32,
}
