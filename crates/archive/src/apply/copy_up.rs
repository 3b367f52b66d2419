//! Bringing a file of a lower layer into the upper directory, so that a hard link can be made to it.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::Applier;
use super::attributes::{copy_xattrs, times_of, timestamps};
use crate::error::{Error, Result};
use crate::merged::{Found, Object};

impl Applier {
    /// Makes sure that `last` in the directory of the link's target is in the target tree itself. What is there, or
    /// nowhere, is left to `linkat`.
    pub(super) fn bring_up(&mut self, last: &[u8]) -> Result<()> {
        let Some(layers) = &self.tree.lowers else { return Ok(()) };
        let shown = self.there.shown(&self.tree, last);
        match fs::statat(self.there.dir(&self.tree), last, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            // A whiteout is no file to link to.
            Ok(stat) if crate::merged::is_whiteout(&stat) => {
                return Err(Error::io("link", shown, Errno::NOENT));
            }
            Ok(_) => return Ok(()),
            Err(e) => return Err(Error::io("stat", shown, e)),
        }
        let among = self.there.lowers(&self.tree)?;
        let Found::Leaf(object) = layers.lookup(&among, &self.there.join(last))? else { return Ok(()) };
        self.copy_up(&object, last).map_err(|e| Error::io("copy up", shown, e))
    }

    fn copy_up(&self, from: &Object, last: &[u8]) -> io::Result<()> {
        let dir = self.there.dir(&self.tree);
        let stat = &from.stat;
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        let kind = from.kind();
        match kind {
            FileType::Symlink => fs::symlinkat(fs::readlinkat(&from.fd, c"", Vec::new())?, dir, last)?,
            FileType::RegularFile => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut to = File::from(fs::openat(dir, last, flags, Mode::from_raw_mode(0o600))?);
                let mut source = File::open(format!("/proc/self/fd/{}", from.fd.as_raw_fd()))?;
                io::copy(&mut source, &mut to)?;
            }
            kind => fs::mknodat(dir, last, kind, mode, stat.st_rdev)?,
        }
        let owner = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        fs::chownat(dir, last, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
        if kind != FileType::Symlink {
            copy_xattrs(from, dir, last)?;
            fs::chmodat(dir, last, mode, AtFlags::empty())?;
        }
        let (access, modification) = times_of(from);
        fs::utimensat(dir, last, &timestamps(access, modification), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }
}
