//! New processes by clone3(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;

use crate::error::{Context, check};
use crate::namespace::Namespaces;
use crate::process::exit_now;
use crate::{KernelError, Result};

/// How a process is cloned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clone<'a> {
    /// Namespaces made new for it.
    pub namespaces: Namespaces,
    /// Whether it becomes a child of the caller's parent.
    pub sibling: bool,
    /// cgroup v2 directory it is born in.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// A cloned process.
#[derive(Debug)]
pub struct Child {
    /// Its number in the caller's pid namespace.
    pub pid: i32,
    /// A descriptor of it.
    pub pidfd: OwnedFd,
}

/// The argument of clone3(2).
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Whether the calling process has only one thread.
pub fn is_single_threaded() -> bool {
    // The directory has one sub-directory per thread beside its own two links.
    rustix::fs::stat("/proc/self/task").is_ok_and(|found| found.st_nlink == 3)
}

impl Clone<'_> {
    /// Clones the process; the child runs `run`, then exits with what it returns.
    ///
    /// The child is a copy of the caller, as after fork(2). Refuses in a process with more than one thread, where
    /// the copy could wait forever for locks that other threads held.
    pub fn spawn(self, run: impl FnOnce() -> i32) -> Result<Child> {
        if !is_single_threaded() {
            return Err(KernelError::new("clone a process that has threads", "", Errno::BUSY));
        }
        match self.clone3()? {
            Some(child) => Ok(child),
            None => exit_now(catch_unwind(AssertUnwindSafe(run)).unwrap_or(255)),
        }
    }

    /// The system call: `None` in the child.
    pub(crate) fn clone3(self) -> Result<Option<Child>> {
        let mut pidfd: RawFd = -1;
        let mut args = CloneArgs {
            flags: self.namespaces.bits() as u64 | libc::CLONE_PIDFD as u64,
            pidfd: (&raw mut pidfd) as u64,
            exit_signal: libc::SIGCHLD as u64,
            ..CloneArgs::default()
        };
        if self.sibling {
            args.flags |= libc::CLONE_PARENT as u64;
            args.exit_signal = 0;
        }
        if let Some(cgroup) = self.cgroup {
            args.flags |= 0x2_0000_0000; // CLONE_INTO_CGROUP
            args.cgroup = cgroup.as_raw_fd() as u64;
        }
        // SAFETY: `args` is a valid clone_args of the size given and outlives the call; no stack is given and
        // CLONE_VM is not set, so the child goes on with a copy of this one, as after fork.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
        match check(pid).during("clone3", "")? {
            0 => Ok(None),
            pid => {
                // SAFETY: the kernel has put a new descriptor there, which nobody else owns.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Some(Child { pid: pid as i32, pidfd }))
            }
        }
    }
}

/// Forks; the child runs `run`, then exits with what it returns. See [`Clone::spawn`].
pub fn fork(run: impl FnOnce() -> i32) -> Result<Child> {
    Clone::default().spawn(run)
}
