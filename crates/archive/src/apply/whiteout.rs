//! Deletions in a layer: `.wh.NAME` hides a name of the layers below, `.wh..wh..opq` all names of a directory.
//!
//! What the layer itself brings is never hidden, whether it comes before or after the whiteout.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{Applier, remove};
use crate::error::{Error, Result};
use crate::merged::Found;
use crate::xattr;

/// What every whiteout's name begins with.
pub(super) const PREFIX: &[u8] = b".wh.";
/// What names begin with that mean nothing here.
const META_PREFIX: &[u8] = b".wh..wh.";
/// The mark of an opaque directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

impl Applier {
    /// Applies a whiteout entry standing in the present directory.
    pub(super) fn take_whiteout(&mut self, last: &[u8]) -> Result<()> {
        if last == OPAQUE {
            return self.hide_all();
        }
        if last.starts_with(META_PREFIX) {
            return Ok(());
        }
        match &last[PREFIX.len()..] {
            b"" | b"." | b".." => {
                let shown = String::from_utf8_lossy(last);
                Err(Error::form(format!("invalid whiteout name: {shown}: invalid archive")))
            }
            name => self.hide(name),
        }
    }

    fn hide(&mut self, name: &[u8]) -> Result<()> {
        let path = self.here.join(name);
        if self.seen.contains(&path) {
            return self.hide_below(name, &path);
        }
        self.clear(name)?;
        let Some(layers) = &self.tree.lowers else { return Ok(()) };
        // overlayfs lists a whiteout that hides nothing: make none, unless the layers below are still to come.
        if !layers.is_empty() {
            let among = self.here.lowers(&self.tree)?;
            if matches!(layers.lookup(&among, &path)?, Found::Nothing) {
                return Ok(());
            }
        }
        make_whiteout(self.here.dir(&self.tree), name)
            .map_err(|e| Error::io("make whiteout", self.shown(name), e))
    }

    /// Hides what lower layers have under a name that this layer has brought, too. In an upper directory this also takes
    /// away whiteouts that have nothing to hide any more: overlayfs would list them.
    fn hide_below(&mut self, name: &[u8], path: &[u8]) -> Result<()> {
        let fail = |e: Errno| Error::io("hide", self.here.shown(&self.tree, name), e);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = match fs::openat(self.here.dir(&self.tree), name, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(()),
            Err(e) => return Err(fail(e)),
        };
        remove::purge(dir.as_fd(), path, &self.seen).map_err(fail)?;
        if self.tree.lowers.is_some() {
            mark_opaque(dir.as_fd()).map_err(|e| Error::io("mark opaque", self.shown(name), e))?;
        }
        self.forget(path)
    }

    /// Hides everything that lower layers have in the present directory.
    fn hide_all(&mut self) -> Result<()> {
        let path = self.here.path().to_vec();
        remove::purge(self.here.dir(&self.tree), &path, &self.seen)
            .map_err(|e| Error::io("empty", self.shown(b""), e))?;
        if let Some(layers) = &self.tree.lowers {
            if self.here.is_root() {
                // overlayfs merges the roots of all layers whatever they say: hide name by name.
                for name in layers.names(&layers.all(), b"")? {
                    self.hide_in_root(&name)?;
                }
            } else {
                mark_opaque(self.here.dir(&self.tree))
                    .map_err(|e| Error::io("mark opaque", self.shown(b""), e))?;
            }
        }
        self.forget(&path)
    }

    fn hide_in_root(&mut self, name: &[u8]) -> Result<()> {
        let dir = self.here.dir(&self.tree);
        match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => self.hide(name),
            Ok(_) => Ok(()),
            Err(_) => make_whiteout(dir, name).map_err(|e| Error::io("make whiteout", self.shown(name), e)),
        }
    }

    pub(super) fn forget(&mut self, path: &[u8]) -> Result<()> {
        self.here.forget(&self.tree, path)?;
        self.there.forget(&self.tree, path)
    }
}

/// Makes a directory hide those below.
fn mark_opaque(dir: BorrowedFd<'_>) -> io::Result<()> {
    xattr::set(dir, b"", xattr::OPAQUE, b"y")
}

/// Makes overlayfs' mark for a deleted name: a character device 0:0.
fn make_whiteout(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
    fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0)
}
