//! Files beyond the standard library: fifos, nodes, extended attributes, times, durable directories, cheap copies.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::Result;
use crate::error::Context;

/// A point in time of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileTime {
    /// Seconds since 1970.
    pub seconds: i64,
    /// Nanoseconds.
    pub nanoseconds: u32,
}

/// Makes a named pipe.
pub fn make_fifo(path: &Path, mode: u32) -> Result<()> {
    make_node(path, libc::S_IFIFO | mode, 0, 0)
}

/// Opens the reading end of a named pipe at once, also when nobody writes; reads fail with `EAGAIN` when it is empty.
pub fn open_fifo_reader(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::NONBLOCK)
}

/// Opens the writing end of a named pipe; fails with `ENXIO` when nobody has it open for reading.
pub fn open_fifo_writer(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::WRONLY | OFlags::NONBLOCK)
}

/// Opens both ends of a named pipe as one descriptor, which never waits to open and never sees an end of file.
pub fn open_fifo_both(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::RDWR)
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).during("open", path)
}

/// Makes a file of any type: `mode` holds type and permission bits, as in mknod(2).
pub fn make_node(path: &Path, mode: u32, major: u32, minor: u32) -> Result<()> {
    make_node_at(CWD, path.as_os_str(), NodeKind { mode, major, minor }).during("mknod", path)
}

/// Type, permissions and device number of a file to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeKind {
    /// Type and permission bits, as in mknod(2).
    pub mode: u32,
    /// Major device number.
    pub major: u32,
    /// Minor device number.
    pub minor: u32,
}

/// Makes `name` in an open directory.
pub fn make_node_at(directory: impl AsFd, name: &OsStr, kind: NodeKind) -> rustix::io::Result<()> {
    let device = rustix::fs::makedev(kind.major, kind.minor);
    let (file_type, mode) = (FileType::from_raw_mode(kind.mode), Mode::from_raw_mode(kind.mode & 0o7777));
    rustix::fs::mknodat(directory, name, file_type, mode, device)
}

/// Sets owner and group of the file itself, also of a symbolic link; `None` keeps.
pub fn set_owner(path: &Path, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    rustix::fs::chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW).during("lchown", path)
}

/// Sets access and modification time of the file itself, also of a symbolic link.
pub fn set_times(path: &Path, access: FileTime, modification: FileTime) -> Result<()> {
    let point =
        |time: FileTime| rustix::fs::Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    let times = Timestamps { last_access: point(access), last_modification: point(modification) };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).during("utimensat", path)
}

/// Names of the extended attributes of the file itself; none where the file system has no attributes.
pub fn list_xattrs(path: &Path) -> Result<Vec<CString>> {
    let mut buffer: Vec<u8> = Vec::new();
    loop {
        let length = match rustix::fs::llistxattr_query(path) {
            Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
            other => other.during("llistxattr", path)?,
        };
        buffer.resize(length, 0);
        match rustix::fs::llistxattr(path, &mut buffer[..]) {
            Err(Errno::RANGE) => {}
            other => {
                buffer.truncate(other.during("llistxattr", path)?);
                break;
            }
        }
    }
    let names = buffer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

/// One extended attribute of the file itself; `None` when it is not there.
pub fn get_xattr(path: &Path, name: &std::ffi::CStr) -> Result<Option<Vec<u8>>> {
    let mut buffer: Vec<u8> = vec![0; 128];
    loop {
        match rustix::fs::lgetxattr(path, name, &mut buffer[..]) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) if buffer.len() < 1 << 17 => buffer.resize(buffer.len() * 4, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(errno).during("lgetxattr", path),
        }
    }
}

/// Sets an extended attribute of the file itself.
pub fn set_xattr(path: &Path, name: &std::ffi::CStr, value: &[u8]) -> Result<()> {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).during("lsetxattr", path)
}

/// Makes the names in a directory durable.
pub fn sync_directory(path: &Path) -> Result<()> {
    let directory = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
    rustix::fs::fsync(&directory).during("fsync", path)
}

/// Makes everything of the file system that holds `path` durable.
pub fn sync_file_system(path: &Path) -> Result<()> {
    let directory = open(path, OFlags::RDONLY)?;
    rustix::fs::syncfs(&directory).during("syncfs", path)
}

/// Copies all of `from` into the empty file `to`, sharing blocks where the file system can. Returns the bytes.
pub fn copy_contents(from: &File, to: &File) -> Result<u64> {
    if rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(rustix::fs::fstat(to).during("fstat", "")?.st_size as u64);
    }
    let mut total = 0;
    loop {
        match rustix::fs::copy_file_range(from, None, to, None, 1 << 30) {
            Ok(0) => return Ok(total),
            Ok(length) => total += length as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::BADF | Errno::PERM)
                if total == 0 =>
            {
                return copy_by_hand(from, to);
            }
            Err(errno) => return Err(errno).during("copy_file_range", ""),
        }
    }
}

fn copy_by_hand(from: &File, to: &File) -> Result<u64> {
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let length = rustix::io::retry_on_intr(|| rustix::io::read(from, &mut buffer)).during("read", "")?;
        if length == 0 {
            return Ok(total);
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(to, rest)).during("write", "")?;
            rest = &rest[written..];
        }
        total += length as u64;
    }
}

/// Whether the file system of a directory tells file types with names (`d_type`), as overlayfs needs.
///
/// Makes and removes one file in the directory when it is empty.
pub fn has_file_types(directory: &Path) -> Result<bool> {
    let probe = directory.join(format!(".d_type-{}", std::process::id()));
    File::create(&probe).map_err(|error| crate::KernelError::from_io("create", &probe, &error))?;
    let opened = open(directory, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let entries = Dir::new(opened).during("open", directory)?;
    let mut known = true;
    for entry in entries {
        let entry = entry.during("read directory", directory)?;
        known &= entry.file_type() != FileType::Unknown;
    }
    std::fs::remove_file(&probe).map_err(|error| crate::KernelError::from_io("remove", &probe, &error))?;
    Ok(known)
}

/// The number that names the kind of file system at `path` (`statfs.f_type`).
pub fn file_system_type(path: &Path) -> Result<u64> {
    Ok(rustix::fs::statfs(path).during("statfs", path)?.f_type as u64)
}

/// Takes an exclusive lock that ends with the descriptor; `false` when somebody else has it.
pub fn try_lock(file: impl AsFd) -> Result<bool> {
    match rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(errno).during("flock", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_times_and_copies() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        std::fs::write(&path, "hello").unwrap();
        assert_eq!(get_xattr(&path, c"trusted.x").unwrap(), None);
        set_xattr(&path, c"trusted.x", &[7; 1000]).unwrap();
        assert_eq!(get_xattr(&path, c"trusted.x").unwrap(), Some(vec![7; 1000]));
        assert!(list_xattrs(&path).unwrap().contains(&CString::from(c"trusted.x")));
        let time = FileTime { seconds: 7, nanoseconds: 8 };
        set_times(&path, time, time).unwrap();
        let found = rustix::fs::stat(&path).unwrap();
        assert_eq!((found.st_mtime, found.st_mtime_nsec), (7, 8));
        let copy = File::create(directory.path().join("b")).unwrap();
        assert_eq!(copy_contents(&File::open(&path).unwrap(), &copy).unwrap(), 5);
        assert_eq!(std::fs::read(directory.path().join("b")).unwrap(), b"hello");
        assert!(has_file_types(directory.path()).unwrap());
        sync_directory(directory.path()).unwrap();
    }

    #[test]
    fn fifos_open_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        make_fifo(&path, 0o600).unwrap();
        assert_eq!(open_fifo_writer(&path).unwrap_err().errno(), Errno::NXIO);
        let reader = open_fifo_reader(&path).unwrap();
        let writer = open_fifo_writer(&path).unwrap();
        rustix::io::write(&writer, b"x").unwrap();
        assert_eq!(rustix::io::read(&reader, &mut [0; 4]).unwrap(), 1);
    }
}
