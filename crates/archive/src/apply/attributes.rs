//! Owners, modes, times and extended attributes of what was unpacked.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Gid, Mode, Timespec, Timestamps, Uid};
use rustix::io::Errno;

use super::Applier;
use super::remove::is_directory;
use crate::error::{Error, Result};
use crate::merged::Object;
use crate::tar::{Entry, Kind, Time};
use crate::xattr;

/// The process's file mode mask; if it cannot be read, one that makes us set every mode.
pub(super) fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("Umask:"));
    line.and_then(|l| u32::from_str_radix(l.trim(), 8).ok()).unwrap_or(0o777)
}

/// Whether we are root of a user namespace only, and so cannot make devices.
pub(super) fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let words: Vec<&str> = map.split_whitespace().collect();
    !words.is_empty() && words != ["0", "0", "4294967295"]
}

/// Access and modification time as they are set: within what the kernel and others can keep, or else the epoch.
pub(super) fn times(entry: &Entry) -> (Time, Time) {
    let access = entry.atime.map_or(entry.mtime, |atime| atime.max(entry.mtime));
    (bound(access), bound(entry.mtime))
}

fn bound(time: Time) -> Time {
    let last = Time { secs: i64::MAX / 1_000_000_000, nanos: (i64::MAX % 1_000_000_000) as u32 };
    if time.secs < 0 || time > last { Time::default() } else { time }
}

/// In the kernel's form.
pub(super) fn timestamps(access: Time, modification: Time) -> Timestamps {
    let spec = |time: Time| Timespec { tv_sec: time.secs, tv_nsec: i64::from(time.nanos) };
    Timestamps { last_access: spec(access), last_modification: spec(modification) }
}

/// Times of an object as we keep them.
pub(super) fn times_of(object: &Object) -> (Time, Time) {
    let stat = &object.stat;
    let access = Time { secs: stat.st_atime, nanos: stat.st_atime_nsec as u32 };
    (access, Time { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 })
}

/// Gives a new directory the owner, mode and attributes of a lower one; returns its times, to be set later.
pub(super) fn copy_directory(from: &Object, to: BorrowedFd<'_>) -> io::Result<(Time, Time)> {
    let owner = (Uid::from_raw(from.stat.st_uid), Gid::from_raw(from.stat.st_gid));
    fs::chownat(to, c"", Some(owner.0), Some(owner.1), AtFlags::EMPTY_PATH)?;
    copy_xattrs(from, to, b"")?;
    let mode = Mode::from_raw_mode(from.stat.st_mode & 0o7777);
    // The descriptor is a path only; through it, `.` is the directory itself.
    fs::chmodat(to, c".", mode, AtFlags::empty())?;
    Ok(times_of(from))
}

/// Copies every attribute that is not overlayfs' own.
pub(super) fn copy_xattrs(from: &Object, to: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    for key in xattr::list(from.fd.as_fd(), b"")? {
        if key.starts_with(xattr::OVERLAY_PREFIX) {
            continue;
        }
        if let Some(value) = xattr::get(from.fd.as_fd(), b"", &key)? {
            match xattr::set(to, name, &key, &value) {
                Err(e) if e.raw_os_error() == Some(Errno::NOTSUP.raw_os_error()) => {}
                result => result?,
            }
        }
    }
    Ok(())
}

impl Applier {
    /// Owner, attributes, mode and times of a name in the present directory that is no regular file of our making.
    pub(super) fn set_attributes(&mut self, entry: &Entry, last: &[u8], is_symlink: bool) -> Result<()> {
        self.set_owner_and_mode(entry, last, is_symlink)?;
        let (access, modification) = times(entry);
        let times = timestamps(access, modification);
        fs::utimensat(self.here.dir(&self.tree), last, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::io("set times of", self.shown(last), e))
    }

    /// As [`Applier::set_attributes`], without times.
    pub(super) fn set_owner_and_mode(&mut self, entry: &Entry, last: &[u8], is_symlink: bool) -> Result<()> {
        let (uid, gid) = self.owner(entry, last)?;
        fs::chownat(self.here.dir(&self.tree), last, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::io("chown", self.shown(last), e))?;
        self.set_xattrs(entry, last)?;
        if is_symlink {
            return Ok(());
        }
        let mode = Mode::from_raw_mode(entry.mode & 0o7777);
        fs::chmodat(self.here.dir(&self.tree), last, mode, AtFlags::empty())
            .map_err(|e| Error::io("chmod", self.shown(last), e))
    }

    /// The owner as the kernel's ids.
    pub(super) fn owner(&self, entry: &Entry, last: &[u8]) -> Result<(Uid, Gid)> {
        match (u32::try_from(entry.uid), u32::try_from(entry.gid)) {
            // The kernel's "leave as it is" is no id.
            (Ok(uid), Ok(gid)) if uid != u32::MAX && gid != u32::MAX => {
                Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
            }
            _ => Err(Error::io("chown", self.shown(last), Errno::INVAL)),
        }
    }

    /// Extended attributes. Those of the kernel's own (`trusted.`) and unknown kinds are left out.
    pub(super) fn set_xattrs(&mut self, entry: &Entry, last: &[u8]) -> Result<()> {
        for (key, value) in &entry.xattrs {
            if key.starts_with(b"trusted.") {
                continue;
            }
            let Err(e) = xattr::set(self.here.dir(&self.tree), last, key, value) else {
                self.has_acl |= key.starts_with(b"system.");
                continue;
            };
            let errno = Errno::from_io_error(&e);
            let on_special = errno == Some(Errno::PERM)
                && key.starts_with(b"user.")
                && !matches!(entry.kind, Kind::Regular | Kind::Directory);
            if errno != Some(Errno::NOTSUP) && !on_special {
                return Err(Error::io("set attribute of", self.shown(last), e));
            }
        }
        Ok(())
    }

    /// Times of a directory that may have been replaced meanwhile.
    pub(super) fn set_times_of_directory(&self, last: &[u8], access: Time, modification: Time) -> Result<()> {
        let times = timestamps(access, modification);
        if self.lost_directory && !matches!(is_directory(self.here.dir(&self.tree), last), Ok(true)) {
            return Ok(());
        }
        match fs::utimensat(self.here.dir(&self.tree), last, &times, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(Error::io("set times of", self.shown(last), e)),
        }
    }
}
