//! Temporary file systems, also those that begin with a copy of what they hide.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kernel::file::{NodeKind, copy_contents, make_node_at};
use kernel::mount::{self, Options};
use kernel::path::clean;
use oci::runtime::Mount;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};

use super::Tree;
use crate::{Error, Result};

impl Tree<'_> {
    /// A tmpfs has the permissions of the directory it hides, unless the options say otherwise. Where there is none yet
    /// it has those of every tmpfs.
    pub(super) fn take_mode(&self, mount: &Mount, options: &mut Options) -> Result<()> {
        if options.data.iter().any(|word| word.starts_with("mode=")) {
            return Ok(());
        }
        let Some(hidden) = self.root.find(Path::new(&mount.destination))? else { return Ok(()) };
        let found = rustix::fs::fstat(&hidden)
            .map_err(|errno| self.failed(mount, options, &kernel::strerror(errno)))?;
        options.data.push(format!("mode={:o}", found.st_mode & 0o7777));
        Ok(())
    }

    pub(super) fn mount_tmpfs(&self, mount: &Mount, mut options: Options, place: &OwnedFd) -> Result<()> {
        let read_only = options.flags & libc::MS_RDONLY != 0;
        if read_only {
            options.flags &= !libc::MS_RDONLY;
            self.seal.borrow_mut().push(clean(Path::new(&mount.destination)));
        }
        if !options.copy_up {
            return self.mount_plain(mount, &options, place);
        }
        // The hidden directory is opened before it is hidden.
        let hidden =
            open_directory(place.as_fd(), OsStr::new(".")).map_err(|errno| copy_failed(mount, errno))?;
        self.mount_plain(mount, &options, place)?;
        let mounted = self.root.open_at(Path::new(&mount.destination), OFlags::RDONLY | OFlags::DIRECTORY)?;
        copy_directory(&hidden, &mounted).map_err(|errno| copy_failed(mount, errno))
    }

    /// A read-only tmpfs that shows nothing, not in any place.
    pub(super) fn empty_directory(&self) -> kernel::Result<OwnedFd> {
        let tree = mount::detached("tmpfs", "tmpfs", &[])?;
        let attributes = mount::Attributes { set: mount::attributes::RDONLY, ..mount::Attributes::default() };
        mount::attributes::set_attributes(&tree, &attributes)?;
        Ok(tree)
    }
}

fn copy_failed(mount: &Mount, errno: rustix::io::Errno) -> Error {
    Error::unknown(format!(
        "tmpcopyup: failed to copy {} to tmpfs: {}",
        mount.destination,
        kernel::strerror(errno)
    ))
}

fn open_directory(parent: impl AsFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Copies everything below one directory into another one that is empty.
fn copy_directory(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name)?;
        }
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    let found = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let name = OsStr::from_bytes(name.to_bytes());
    let mode = Mode::from_raw_mode(found.st_mode & 0o7777);
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, mode)?;
            copy_directory(&open_directory(from, name)?, &open_directory(to, name)?)?;
        }
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(from, name, Vec::new())?;
            rustix::fs::symlinkat(target, to, name)?;
        }
        FileType::RegularFile => {
            let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = File::from(rustix::fs::openat(from, name, flags, Mode::empty())?);
            let target = rustix::fs::openat(to, name, flags | OFlags::CREATE | OFlags::WRONLY, mode)?;
            copy_contents(&source, &File::from(target)).map_err(|error| error.errno())?;
        }
        _ => {
            let (major, minor) = (rustix::fs::major(found.st_rdev), rustix::fs::minor(found.st_rdev));
            make_node_at(to, name, NodeKind { mode: found.st_mode, major, minor })?;
        }
    }
    let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
    rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
        rustix::fs::chmodat(to, name, mode, AtFlags::empty())?;
    }
    Ok(())
}
