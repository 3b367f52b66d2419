//! Unmounting: patiently, deepest first, until nothing is left.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::Mount;
use crate::Result;
use crate::error::Context;
use crate::mountinfo::{self, MountInfo};
use crate::path::clean;

/// Whether a mount that is in use is taken out of sight and goes when it is no longer used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detach {
    /// It must not be in use.
    No,
    /// Out of sight now.
    Yes,
}

/// How often and how long a busy mount is waited for.
const BUSY: (u32, i64) = (50, 50_000_000);

/// Unmounts what is mounted at `target`; nothing mounted there is no error.
///
/// A busy mount is tried again for two and a half seconds, each time when the mount table changes or after 50 ms.
pub fn unmount(target: &Path, detach: Detach) -> Result<()> {
    match unmount_once(target, detach) {
        Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        other => other.during("unmount", target),
    }
}

/// Unmounts everything stacked at `target`.
pub fn unmount_all(target: &Path, detach: Detach) -> Result<()> {
    loop {
        match unmount_once(target, detach) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(errno).during("unmount", target),
        }
    }
}

/// Unmounts everything at and below `target`, deepest first.
pub fn unmount_recursive(target: &Path, detach: Detach) -> Result<()> {
    deepest_first(target, |info| unmount(&info.mount_point, detach))
}

/// The same, but overlays are only taken out of sight and what is returned holds them: closing it may take long.
///
/// At the end of an overlay the kernel writes out all that waits to be written to the file system below, whoever wrote
/// it. Whoever lets go of the overlay waits for that, so that should be one nobody waits for. Other file systems end
/// here and now: their devices are perhaps to be taken away next.
pub fn unmount_recursive_holding(target: &Path) -> Result<Vec<OwnedFd>> {
    let mut held = Vec::new();
    deepest_first(target, |info| {
        if info.kind != "overlay" {
            return unmount(&info.mount_point, Detach::No);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let overlay = rustix::fs::open(&info.mount_point, flags, Mode::empty());
        held.push(overlay.during("open", &info.mount_point)?);
        unmount(&info.mount_point, Detach::Yes)
    })?;
    Ok(held)
}

/// Goes through the mounts at and below `target`, deepest and last mounted first.
fn deepest_first(target: &Path, mut each: impl FnMut(&MountInfo) -> Result<()>) -> Result<()> {
    let target = match std::fs::canonicalize(target) {
        Ok(target) => target,
        Err(_) => return Ok(()),
    };
    let mut found: Vec<_> =
        mountinfo::read()?.into_iter().rev().filter(|info| info.mount_point.starts_with(&target)).collect();
    found.sort_by_key(|info| std::cmp::Reverse(info.mount_point.components().count()));
    let mut last = Ok(());
    for info in found {
        let result = each(&info);
        if info.mount_point == target || last.is_ok() {
            last = result;
        }
    }
    last
}

/// Unmounts a list of mounts made on `at`, last first.
pub fn unmount_mounts(mounts: &[Mount], at: &Path) -> Result<()> {
    for mount in mounts.iter().rev() {
        let place = if mount.target.is_empty() {
            at.to_path_buf()
        } else {
            at.join(clean(Path::new(&mount.target)).strip_prefix("/").unwrap_or(Path::new("")))
        };
        unmount(&place, Detach::No)?;
    }
    Ok(())
}

fn unmount_once(target: &Path, detach: Detach) -> rustix::io::Result<()> {
    let flags = if detach == Detach::Yes { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    let flags = flags | UnmountFlags::NOFOLLOW;
    let answer = unmount_patiently(target, flags);
    match answer {
        Err(Errno::PERM) if is_fuse(target) && unmount_fuse(target) => Ok(()),
        other => other,
    }
}

fn unmount_patiently(target: &Path, flags: UnmountFlags) -> rustix::io::Result<()> {
    for _ in 0..BUSY.0 {
        match rustix::mount::unmount(target, flags) {
            Err(Errno::BUSY) => wait_for_change(),
            other => return other,
        }
    }
    rustix::mount::unmount(target, flags)
}

/// Waits until the mount table changes, at most as long as `BUSY` says.
fn wait_for_change() {
    let limit = Timespec { tv_sec: 0, tv_nsec: BUSY.1 };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    if let Ok(table) = rustix::fs::open("/proc/self/mountinfo", flags, Mode::empty()) {
        let _ = rustix::event::poll(&mut [PollFd::new(&table, PollFlags::PRI)], Some(&limit));
    }
}

fn is_fuse(target: &Path) -> bool {
    const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;
    crate::file::file_system_type(target).is_ok_and(|kind| kind == FUSE_SUPER_MAGIC)
}

/// Lets FUSE's own program unmount, which may do it for users.
fn unmount_fuse(target: &Path) -> bool {
    ["fusermount3", "fusermount"].iter().any(|program| {
        let status =
            Command::new(program).arg("-u").arg(target).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    })
}
