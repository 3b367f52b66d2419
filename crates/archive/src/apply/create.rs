//! Making what an entry describes, in the present directory.

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::attributes::{times, timestamps};
use super::walk::Missing;
use super::{Applier, clean};
use crate::error::{Error, Result};
use crate::tar::{Data, Entry, Kind, Reader};
use crate::xattr;

impl Applier {
    /// A regular file: open, write, and only those attributes that it does not have already.
    pub(super) fn create_file<R: BufRead>(
        &mut self,
        entry: &Entry,
        last: &[u8],
        reader: &mut Reader<R>,
    ) -> Result<()> {
        let file = self.open_new(entry, last)?;
        let written = match &entry.sparse {
            None => write_data(&file, &mut reader.data()),
            Some(_) => write_sparse(&file, entry, &mut reader.data()),
        };
        written.map_err(|e| match e {
            Failure::Read(e) => Error::Stream(e),
            Failure::Write(e) => Error::io("write", self.shown(last), e),
        })?;
        let (uid, gid) = self.owner(entry, last)?;
        let owned = uid.as_raw() == self.tree.uid && gid.as_raw() == self.tree.gid;
        if !owned || self.here.is_setgid(&self.tree)? {
            fs::fchown(&file, Some(uid), Some(gid)).map_err(|e| Error::io("chown", self.shown(last), e))?;
        }
        self.set_xattrs(entry, last)?;
        if entry.mode & (0o7000 | self.tree.umask) != 0 || self.has_acl {
            let mode = Mode::from_raw_mode(entry.mode & 0o7777);
            fs::fchmod(&file, mode).map_err(|e| Error::io("chmod", self.shown(last), e))?;
        }
        let (access, modification) = times(entry);
        fs::futimens(&file, &timestamps(access, modification))
            .map_err(|e| Error::io("set times of", self.shown(last), e))
    }

    fn open_new(&mut self, entry: &Entry, last: &[u8]) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let mut opened = fs::openat(self.here.dir(&self.tree), last, flags, mode);
        if matches!(opened, Err(Errno::EXIST)) {
            self.clear(last)?;
            opened = fs::openat(self.here.dir(&self.tree), last, flags, mode);
        }
        opened.map(File::from).map_err(|e| Error::io("create", self.shown(last), e))
    }

    /// A directory; one that is there already only gets the attributes.
    pub(super) fn create_directory(&mut self, entry: &Entry, last: &[u8]) -> Result<()> {
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        if let Err(e) = fs::mkdirat(self.here.dir(&self.tree), last, mode) {
            if e != Errno::EXIST {
                return Err(Error::io("mkdir", self.shown(last), e));
            }
            self.replace_by_directory(last, mode)?;
        }
        self.set_owner_and_mode(entry, last, false)?;
        let (access, modification) = times(entry);
        self.dir_times.push((self.here.join(last), access, modification));
        Ok(())
    }

    fn replace_by_directory(&mut self, last: &[u8], mode: Mode) -> Result<()> {
        let fail = |e: Errno| Error::io("mkdir", self.here.shown(&self.tree, last), e);
        let stat = fs::statat(self.here.dir(&self.tree), last, AtFlags::SYMLINK_NOFOLLOW).map_err(fail)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(());
        }
        self.clear(last)?;
        let fail = |e: io::Error| Error::io("mkdir", self.here.shown(&self.tree, last), e);
        fs::mkdirat(self.here.dir(&self.tree), last, mode).map_err(|e| fail(e.into()))?;
        if self.tree.lowers.is_some() {
            // What stood here hid a lower directory of this name: it must not shine through.
            xattr::set(self.here.dir(&self.tree), last, xattr::OPAQUE, b"y").map_err(fail)?;
        }
        Ok(())
    }

    /// A symbolic link; its target is kept as it is.
    pub(super) fn create_symlink(&mut self, entry: &Entry, last: &[u8]) -> Result<()> {
        self.clear(last)?;
        fs::symlinkat(&entry.link[..], self.here.dir(&self.tree), last)
            .map_err(|e| Error::io("symlink", self.shown(last), e))?;
        self.set_attributes(entry, last, true)
    }

    /// A device or a pipe. Devices are left out where we may not make them.
    pub(super) fn create_node(&mut self, entry: &Entry, last: &[u8]) -> Result<()> {
        self.clear(last)?;
        let file_type = match entry.kind {
            Kind::Char => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        if file_type != FileType::Fifo && self.in_user_namespace {
            return Ok(());
        }
        let device = fs::makedev(entry.major, entry.minor);
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let device = if file_type == FileType::Fifo { 0 } else { device };
        fs::mknodat(self.here.dir(&self.tree), last, file_type, mode, device)
            .map_err(|e| Error::io("mknod", self.shown(last), e))?;
        self.set_attributes(entry, last, false)
    }

    /// A hard link to a name that this layer or one below has brought.
    pub(super) fn create_link(&mut self, entry: &Entry, last: &[u8]) -> Result<()> {
        let mut name = Vec::new();
        let shown = self.shown(last);
        let missing = || Error::io("link", &shown, Errno::NOENT);
        let split = clean(&entry.link, &mut name).ok_or_else(|| Error::io("link", &shown, Errno::PERM))?;
        let (parent, rest) = name.split_at(split);
        let target = rest.strip_prefix(b"/").unwrap_or(rest);
        if !self.there.enter(&self.tree, parent, Missing::CopyUp)? {
            return Err(missing());
        }
        if self.there.join(target) == self.here.join(last) {
            return Err(missing());
        }
        self.bring_up(target)?;
        self.clear(last)?;
        if !self.there.enter(&self.tree, parent, Missing::CopyUp)? {
            return Err(missing());
        }
        let (from, to) = (self.there.dir(&self.tree), self.here.dir(&self.tree));
        fs::linkat(from, target, to, last, AtFlags::empty()).map_err(|e| Error::io("link", &shown, e))?;
        let stat = fs::statat(self.here.dir(&self.tree), last, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| Error::io("stat", &shown, e))?;
        let is_symlink = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        self.set_attributes(entry, last, is_symlink)
    }
}

/// Which side of a copy failed.
enum Failure {
    Read(io::Error),
    Write(io::Error),
}

/// Writes the entry's data straight from the stream's buffer.
fn write_data<R: BufRead>(file: &File, data: &mut Data<'_, R>) -> std::result::Result<(), Failure> {
    let mut file = file;
    loop {
        let have = data.fill_buf().map_err(Failure::Read)?;
        if have.is_empty() {
            return Ok(());
        }
        let len = have.len();
        file.write_all(have).map_err(Failure::Write)?;
        data.consume(len);
    }
}

/// Writes the runs of data where they belong; what lies between stays a hole.
fn write_sparse<R: BufRead>(
    file: &File,
    entry: &Entry,
    data: &mut Data<'_, R>,
) -> std::result::Result<(), Failure> {
    file.set_len(entry.size).map_err(Failure::Write)?;
    for extent in entry.sparse.iter().flatten() {
        let (mut offset, end) = (extent.offset, extent.offset + extent.len);
        while offset < end {
            let have = data.fill_buf().map_err(Failure::Read)?;
            let len = have.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            if len == 0 {
                return Err(Failure::Read(io::ErrorKind::UnexpectedEof.into()));
            }
            file.write_all_at(&have[..len], offset).map_err(Failure::Write)?;
            data.consume(len);
            offset += len as u64;
        }
    }
    Ok(())
}
