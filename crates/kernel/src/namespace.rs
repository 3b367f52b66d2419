//! Kinds of namespaces, making and joining them.

use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::Result;
use crate::error::{Context, check};

/// A set of namespace kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces(i32);

impl Namespaces {
    /// None.
    pub const NONE: Self = Self(0);
    /// Mounts.
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS);
    /// Process numbers.
    pub const PID: Self = Self(libc::CLONE_NEWPID);
    /// Network.
    pub const NETWORK: Self = Self(libc::CLONE_NEWNET);
    /// System V and POSIX message queues.
    pub const IPC: Self = Self(libc::CLONE_NEWIPC);
    /// Host name.
    pub const UTS: Self = Self(libc::CLONE_NEWUTS);
    /// Users and groups.
    pub const USER: Self = Self(libc::CLONE_NEWUSER);
    /// View of the control groups.
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP);
    /// Offsets of clocks.
    pub const TIME: Self = Self(0x80);

    /// Kinds, words of the runtime specification and file names below `/proc/<pid>/ns`.
    pub const KINDS: [(Self, &'static str, &'static str); 8] = [
        (Self::USER, "user", "user"),
        (Self::MOUNT, "mount", "mnt"),
        (Self::PID, "pid", "pid"),
        (Self::NETWORK, "network", "net"),
        (Self::IPC, "ipc", "ipc"),
        (Self::UTS, "uts", "uts"),
        (Self::CGROUP, "cgroup", "cgroup"),
        (Self::TIME, "time", "time"),
    ];

    /// The kind that the runtime specification calls `word`.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::KINDS.iter().find(|kind| kind.1 == word).map(|kind| kind.0)
    }

    /// The kernel's `CLONE_NEW…` bits.
    pub fn bits(self) -> i32 {
        self.0
    }

    /// Whether all of `other` are in the set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set without the members of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Moves the calling thread into new namespaces.
pub fn unshare(namespaces: Namespaces) -> Result<()> {
    // SAFETY: only CLONE_NEW… bits, which do not unshare descriptor tables or memory.
    check(unsafe { libc::unshare(namespaces.bits()) }.into()).map(drop).during("unshare", "")
}

/// Joins namespaces: `of` is a namespace file (then `kinds` is checked by the kernel) or a pidfd (then all `kinds` of
/// that process are joined at once).
pub fn join(of: impl AsFd, kinds: Namespaces) -> Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::setns(of.as_fd().as_raw_fd(), kinds.bits()) }.into()).map(drop).during("setns", "")
}

/// Opens a namespace file.
pub fn open(path: &Path) -> Result<std::os::fd::OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open", path)
}
