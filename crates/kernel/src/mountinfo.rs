//! The mount table of a process: `/proc/<pid>/mountinfo`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::{KernelError, Result};

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountInfo {
    /// Number of the mount.
    pub id: u64,
    /// Number of the mount it lies on.
    pub parent: u64,
    /// Major device number.
    pub major: u32,
    /// Minor device number.
    pub minor: u32,
    /// Directory of the file system that is shown.
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Options of the mount.
    pub options: String,
    /// `shared:N`, `master:N`, `propagate_from:N`, `unbindable`.
    pub propagation: Vec<String>,
    /// File system type.
    pub kind: String,
    /// Device or word it was mounted from.
    pub source: String,
    /// Options of the file system.
    pub file_system_options: String,
}

impl MountInfo {
    /// Whether mounts below it spread to other mounts.
    pub fn is_shared(&self) -> bool {
        self.propagation.iter().any(|tag| tag.starts_with("shared:"))
    }
}

/// All mounts of the calling process, in the kernel's order.
pub fn read() -> Result<Vec<MountInfo>> {
    read_from(Path::new("/proc/self/mountinfo"))
}

/// All mounts listed in a file of that format; lines that cannot be read are left out.
pub fn read_from(path: &Path) -> Result<Vec<MountInfo>> {
    let text = std::fs::read(path).map_err(|error| KernelError::from_io("read", path, &error))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse_line).collect())
}

/// One line: `36 35 98:0 /root /point rw,noatime shared:1 - ext4 /dev/sda rw`.
pub fn parse_line(line: &[u8]) -> Option<MountInfo> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next();
    let mut info = MountInfo { id: number(next()?)?, parent: number(next()?)?, ..MountInfo::default() };
    let device = text(next()?);
    let (major, minor) = device.split_once(':')?;
    (info.major, info.minor) = (major.parse().ok()?, minor.parse().ok()?);
    info.root = path(next()?);
    info.mount_point = path(next()?);
    info.options = text(next()?);
    loop {
        match next()? {
            b"-" => break,
            tag => info.propagation.push(text(tag)),
        }
    }
    info.kind = text(next()?);
    info.source = text(next()?);
    info.file_system_options = text(next().unwrap_or_default());
    Some(info)
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(unescape(field)))
}

/// Blanks, tabs, newlines and backslashes are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
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
    fn a_line_with_everything() {
        let line = br"36 35 98:1 /a\040b /mnt\134x rw,noatime shared:1 master:2 - fuse.x some\011src rw,errors=continue";
        let info = parse_line(line).unwrap();
        assert_eq!((info.id, info.parent, info.major, info.minor), (36, 35, 98, 1));
        assert_eq!(info.root, Path::new("/a b"));
        assert_eq!(info.mount_point, Path::new("/mnt\\x"));
        assert_eq!(info.propagation, ["shared:1", "master:2"]);
        assert_eq!((info.kind.as_str(), info.source.as_str()), ("fuse.x", "some\tsrc"));
        assert!(info.is_shared());
    }

    #[test]
    fn bad_lines_are_left_out() {
        for line in ["", "1", "1 2 3 / / rw - x y z", "1 2 3:4 / / rw shared:1"] {
            assert_eq!(parse_line(line.as_bytes()), None, "{line}");
        }
        assert!(read().unwrap().iter().any(|info| info.mount_point == Path::new("/proc")));
    }
}
