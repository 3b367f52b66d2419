//! Whether a file is still what it was.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use rustix::fs::{self, FileType};

use crate::merged::Object;
use crate::xattr;

/// The very same inode: nothing below can differ.
pub(super) fn is_same_object(old: &Object, new: &Object) -> bool {
    (old.stat.st_dev, old.stat.st_ino) == (new.stat.st_dev, new.stat.st_ino)
}

/// Whether attributes and content are equal. Of a directory only the attributes count, without times.
pub(super) fn is_same(old: &Object, new: &Object) -> io::Result<bool> {
    let (a, b) = (&old.stat, &new.stat);
    if (a.st_mode, a.st_uid, a.st_gid, a.st_rdev) != (b.st_mode, b.st_uid, b.st_gid, b.st_rdev) {
        return Ok(false);
    }
    if capability(old)? != capability(new)? {
        return Ok(false);
    }
    if new.kind() == FileType::Directory {
        return Ok(true);
    }
    if a.st_size != b.st_size || a.st_mtime != b.st_mtime {
        return Ok(false);
    }
    if a.st_mtime_nsec != 0 || b.st_mtime_nsec != 0 {
        return Ok(a.st_mtime_nsec == b.st_mtime_nsec);
    }
    match new.kind() {
        FileType::RegularFile => same_bytes(old, new),
        FileType::Symlink => Ok(read_link(old)? == read_link(new)?),
        _ => Ok(true),
    }
}

/// The file capabilities of an object, in the kernel's form.
pub(super) fn capability(object: &Object) -> io::Result<Option<Vec<u8>>> {
    match object.kind() {
        FileType::RegularFile | FileType::Directory => xattr::get(object.fd.as_fd(), b"", xattr::CAPABILITY),
        _ => Ok(None),
    }
}

/// The target of an open symbolic link.
pub(super) fn read_link(object: &Object) -> io::Result<Vec<u8>> {
    Ok(fs::readlinkat(&object.fd, c"", Vec::new())?.into_bytes())
}

/// Opens the content of an object.
pub(super) fn open(object: &Object) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", object.fd.as_raw_fd()))
}

fn same_bytes(old: &Object, new: &Object) -> io::Result<bool> {
    if new.stat.st_size == 0 {
        return Ok(true);
    }
    let (mut a, mut b) = (open(old)?, open(new)?);
    let (mut left, mut right) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        let (n, m) = (fill(&mut a, &mut left)?, fill(&mut b, &mut right)?);
        if left[..n] != right[..m] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
