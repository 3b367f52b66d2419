//! Linux made safe: mounts, cgroups, namespaces, pidfd, pty, fifo, loop and netns; all `unsafe` of the project is here.
//!
//! Everything is synchronous and decides nothing. Where rustix has a safe call it is used; the rest goes through
//! libc. Callers get a [`KernelError`] that says the step and the object. Linux 5.12 is the oldest kernel that has
//! all calls used without asking (`openat2`, `mount_setattr`, `close_range`, `setns` by pidfd).

pub mod capability;
pub mod cgroup;
mod error;
pub mod file;
pub mod loopdev;
pub mod memory;
pub mod mount;
pub mod mountinfo;
pub mod namespace;
pub mod netns;
pub mod notify;
pub mod path;
pub mod pidfd;
pub mod process;
pub mod procfs;
pub mod pty;
pub mod scheduling;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod trace;
pub mod usage;
pub mod userns;

pub use error::{Context, KernelError, Result, strerror};
pub use rustix::io::Errno;
