//! Removing what an entry replaces or a whiteout deletes. No link is followed.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::Applier;
use super::seen::Seen;
use crate::error::{Error, Result};
use crate::merged;

impl Applier {
    /// Removes whatever has this name in the present directory.
    pub(super) fn clear(&mut self, last: &[u8]) -> Result<()> {
        let fail = |e: Errno| Error::io("remove", self.here.shown(&self.tree, last), e);
        let dir = self.here.dir(&self.tree);
        let stat = match fs::statat(dir, last, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(fail(e)),
        };
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        remove(dir, last, is_dir).map_err(fail)?;
        self.lost_directory |= is_dir;
        let path = self.here.join(last);
        self.forget(&path)
    }
}

/// Removes a name with all that is below it.
pub(super) fn remove(dir: BorrowedFd<'_>, name: &[u8], is_dir: bool) -> rustix::io::Result<()> {
    if !is_dir {
        return fs::unlinkat(dir, name, AtFlags::empty());
    }
    match fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        result => return result,
    }
    let below = open(dir, name)?;
    for child in names(&below)? {
        remove(below.as_fd(), &child, is_directory(below.as_fd(), &child)?)?;
    }
    fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// Removes what is in a directory except what this layer brought. `path` is the directory's canonical path.
pub(super) fn purge(dir: BorrowedFd<'_>, path: &[u8], seen: &Seen) -> rustix::io::Result<()> {
    for child in names(&open(dir, b".")?)? {
        let child_path = merged::join(path, &child);
        let is_dir = is_directory(dir, &child)?;
        if !seen.contains(&child_path) {
            remove(dir, &child, is_dir)?;
        } else if is_dir {
            purge(open(dir, &child)?.as_fd(), &child_path, seen)?;
        }
    }
    Ok(())
}

pub(super) fn is_directory(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<bool> {
    let stat = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn open(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::empty())
}

fn names(dir: &OwnedFd) -> rustix::io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}
