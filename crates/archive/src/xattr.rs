//! Extended attributes of a name in an open directory, symbolic links not followed.
//!
//! The kernel has no `*at` calls for them that every kernel we run on knows, so the name is reached through
//! `/proc/self/fd`: the descriptor pins the directory, the last component is not followed.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

/// The attribute by which overlayfs marks a directory that hides the one below.
pub(crate) const OPAQUE: &[u8] = b"trusted.overlay.opaque";
/// What overlayfs keeps for itself.
pub(crate) const OVERLAY_PREFIX: &[u8] = b"trusted.overlay.";
/// The only attribute that goes into layers.
pub(crate) const CAPABILITY: &[u8] = b"security.capability";

/// A path that names `name` in `dir`; with an empty name the directory itself.
fn through(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}", dir.as_raw_fd()).into_bytes();
    if !name.is_empty() {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

/// Sets an attribute.
pub(crate) fn set(dir: BorrowedFd<'_>, name: &[u8], key: &[u8], value: &[u8]) -> io::Result<()> {
    let path = through(dir, name);
    if name.is_empty() {
        return Ok(fs::setxattr(&path[..], key, value, XattrFlags::empty())?);
    }
    Ok(fs::lsetxattr(&path[..], key, value, XattrFlags::empty())?)
}

/// Reads an attribute; `None` if it is absent or the file system has none.
pub(crate) fn get(dir: BorrowedFd<'_>, name: &[u8], key: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let path = through(dir, name);
    let read = |buffer: &mut [u8]| {
        if name.is_empty() {
            fs::getxattr(&path[..], key, buffer)
        } else {
            fs::lgetxattr(&path[..], key, buffer)
        }
    };
    read_sized(read)
}

/// The names of all attributes.
pub(crate) fn list(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let path = through(dir, name);
    let read = |buffer: &mut [u8]| {
        if name.is_empty() { fs::listxattr(&path[..], buffer) } else { fs::llistxattr(&path[..], buffer) }
    };
    let names = read_sized(read)?.unwrap_or_default();
    Ok(names.split(|b| *b == 0).filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect())
}

/// Reads into a small buffer first, into one of the right size if that was too small.
fn read_sized(mut read: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>) -> io::Result<Option<Vec<u8>>> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(Some(buffer));
            }
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOENT) => return Ok(None),
            Err(Errno::RANGE) if buffer.len() < 64 << 10 => buffer.resize(64 << 10, 0),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Whether overlayfs takes this directory as hiding the ones below.
pub(crate) fn is_opaque(dir: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(get(dir, b"", OPAQUE)?.is_some_and(|value| value == b"y"))
}
