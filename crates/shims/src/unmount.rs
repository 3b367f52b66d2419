//! Unmounting everything at and below a path.

use model::{Error, Result};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The kernel's list of mounts in this namespace.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Unmounts everything at and below a path, the last mounted first. A busy file system is detached.
pub(crate) fn recursive(path: &Path) -> Result<()> {
    let Ok(path) = path.canonicalize() else { return Ok(()) };
    let info = std::fs::read(MOUNTINFO).map_err(|e| Error::io("read", MOUNTINFO, e))?;
    let below: Vec<PathBuf> = mount_points(&info).filter(|point| point.starts_with(&path)).collect();
    for point in below.iter().rev() {
        match unmount(point, UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(Errno::BUSY) => {
                unmount(point, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH)
                    .map_err(|e| Error::io("detach", point, e.into()))?;
            }
            Err(e) => return Err(Error::io("unmount", point, e.into())),
        }
    }
    Ok(())
}

/// The mount points in the order they were mounted: the fifth field of each line.
fn mount_points(info: &[u8]) -> impl Iterator<Item = PathBuf> {
    info.split(|b| *b == b'\n').filter_map(|line| {
        let point = line.split(|b| *b == b' ').nth(4)?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(unescape(point))))
    })
}

/// Blanks, tabs, line ends and backslashes are written as a backslash and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                plain.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = tail;
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mount_points() {
        let info = b"22 27 0:21 / /proc rw - proc proc rw\n23 27 0:22 / /a\\040b\\134 rw - x x rw\n";
        let points: Vec<_> = mount_points(info).collect();
        assert_eq!(points, [PathBuf::from("/proc"), PathBuf::from("/a b\\")]);
    }
}
