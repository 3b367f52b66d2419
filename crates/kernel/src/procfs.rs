//! Writing to procfs and nothing else.
//!
//! A file below `/proc` that is not on procfs may be a trap laid by whoever controls mounts. The root is checked once by
//! its file system type; lookups stay below it, cross no mount and follow no magic link.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};
use rustix::io::Errno;

use crate::Result;
use crate::error::Context;

/// A verified procfs.
#[derive(Debug)]
pub struct ProcFs {
    root: OwnedFd,
}

impl ProcFs {
    /// Opens `/proc`; fails with `ENODEV` when that is no procfs.
    pub fn open() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let root = rustix::fs::open("/proc", flags, Mode::empty()).during("open", "/proc")?;
        let system = rustix::fs::fstatfs(&root).during("statfs", "/proc")?;
        if system.f_type != PROC_SUPER_MAGIC {
            return Err(Errno::NODEV).during("open procfs", "/proc");
        }
        Ok(Self { root })
    }

    /// Opens a file by its path below `/proc`.
    pub fn open_at(&self, path: &str, flags: OFlags) -> Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
            .during("open", Path::new("/proc").join(path))
    }

    /// Writes `content` in one call.
    pub fn write(&self, path: &str, content: &[u8]) -> Result<()> {
        let file = self.open_at(path, OFlags::WRONLY | OFlags::NOCTTY)?;
        rustix::io::write(&file, content).map(drop).during("write", Path::new("/proc").join(path))
    }
}

impl AsFd for ProcFs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

/// What `/proc/<pid>/stat` tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// State letter: `R`, `S`, `Z`, `X`, …
    pub state: u8,
    /// Parent.
    pub parent: i32,
    /// Start after boot in clock ticks: with the number it names a process for good.
    pub start: u64,
}

impl Stat {
    /// Whether the process has ended.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Reads `/proc/<pid>/stat`; fails with `ENOENT` or `ESRCH` when there is no such process.
pub fn stat(pid: i32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let file =
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).during("open", &path)?;
    let mut buffer = [0_u8; 1024];
    let length = rustix::io::read(&file, &mut buffer).during("read", &path)?;
    parse_stat(&buffer[..length]).ok_or(Errno::IO).during("parse", &path)
}

/// The name in parentheses may itself hold parentheses and blanks, so the fields are counted from its end.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    let start = fields.nth(17)?.parse().ok()?;
    Some(Stat { state, parent, start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_stat() {
        let own = stat(std::process::id() as i32).unwrap();
        assert!(!own.is_dead() && own.start > 0);
        let text = b"7 (a) R (b)) Z 1 7 7 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        assert_eq!(parse_stat(text), Some(Stat { state: b'Z', parent: 1, start: 4711 }));
        assert_eq!(stat(i32::MAX).unwrap_err().errno(), Errno::NOENT);
    }

    #[test]
    fn stays_on_procfs() {
        let proc = ProcFs::open().unwrap();
        proc.open_at("sys/kernel/hostname", OFlags::RDONLY).unwrap();
        assert!(proc.open_at("../etc/passwd", OFlags::RDONLY).is_err());
        assert!(proc.open_at("self/root/etc/passwd", OFlags::RDONLY).is_err());
    }
}
