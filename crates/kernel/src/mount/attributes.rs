//! Attributes of mounts by mount_setattr(2): all flags at once, for a whole tree, with id mappings.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::{Flags, Reach};
use crate::Result;
use crate::error::{Context, check};

/// Read-only.
pub const RDONLY: u64 = 0x01;
/// Ignore set-user-id bits.
pub const NOSUID: u64 = 0x02;
/// Ignore device nodes.
pub const NODEV: u64 = 0x04;
/// Forbid executing.
pub const NOEXEC: u64 = 0x08;
/// The bits that choose how access times are kept.
pub const ATIME: u64 = 0x70;
/// Do not keep access times.
pub const NOATIME: u64 = 0x10;
/// Keep every access time.
pub const STRICTATIME: u64 = 0x20;
/// Do not keep access times of directories.
pub const NODIRATIME: u64 = 0x80;
/// Map ids.
pub const IDMAP: u64 = 0x10_0000;
/// Follow no symbolic links.
pub const NOSYMFOLLOW: u64 = 0x20_0000;

/// A change of a mount's attributes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear first.
    pub clear: u64,
    /// One of the `MS_…` propagation flags, or 0.
    pub propagation: u64,
    /// User namespace whose mappings are laid over the mount; needs `IDMAP` in `set`.
    pub user_namespace: Option<BorrowedFd<'a>>,
    /// The mount alone or all below it too.
    pub reach: Reach,
}

/// The argument of mount_setattr(2).
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

impl Attributes<'_> {
    /// What `MS_…` flags to set and to clear mean as attributes.
    pub fn from_flags(set: Flags, cleared: Flags) -> Self {
        let plain = [
            (libc::MS_RDONLY, RDONLY),
            (libc::MS_NOSUID, NOSUID),
            (libc::MS_NODEV, NODEV),
            (libc::MS_NOEXEC, NOEXEC),
            (libc::MS_NODIRATIME, NODIRATIME),
            (libc::MS_NOSYMFOLLOW, NOSYMFOLLOW),
        ];
        let pick = |flags: Flags| {
            plain.iter().filter(|pair| flags & pair.0 != 0).fold(0, |bits, pair| bits | pair.1)
        };
        let mut attributes = Attributes { set: pick(set), clear: pick(cleared), ..Attributes::default() };
        let atime =
            [(libc::MS_STRICTATIME, STRICTATIME), (libc::MS_NOATIME, NOATIME), (libc::MS_RELATIME, 0)];
        if let Some((_, bits)) = atime.iter().find(|pair| set & pair.0 != 0) {
            attributes.clear |= ATIME;
            attributes.set |= bits;
        } else if cleared & (libc::MS_NOATIME | libc::MS_STRICTATIME) != 0 {
            attributes.clear |= ATIME;
        }
        attributes
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.set == 0 && self.clear == 0 && self.propagation == 0
    }
}

/// Changes the attributes of the mount whose root is open as `mount`.
pub fn set_attributes(mount: impl AsFd, attributes: &Attributes<'_>) -> Result<()> {
    const RECURSIVE: libc::c_int = 0x8000;
    let argument = MountAttr {
        set: attributes.set,
        clear: attributes.clear,
        propagation: attributes.propagation,
        user_namespace: attributes.user_namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let reach = if attributes.reach == Reach::Tree { RECURSIVE } else { 0 };
    // SAFETY: a valid mount_attr of the size given, and an empty C string; both outlive the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | reach,
            &raw const argument,
            size_of::<MountAttr>(),
        )
    };
    check(answer).map(drop).during("mount_setattr", "")
}
