//! One open, one read or write, one close.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::error::{Error, Result};
use super::host::Hierarchy;
use super::parse;

/// One directory of one hierarchy.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub hierarchy: &'static Hierarchy,
    /// Path from the mount point, without a slash in front; the mount point itself is `.`.
    pub path: String,
}

impl Node {
    /// A node at a cleaned path.
    pub fn new(hierarchy: &'static Hierarchy, path: String) -> Self {
        Self { hierarchy, path: if path.is_empty() { ".".to_owned() } else { path } }
    }

    /// Whether this is the mount point.
    pub fn is_root(&self) -> bool {
        self.path == "."
    }

    /// The absolute path.
    pub fn full(&self) -> PathBuf {
        if self.is_root() { self.hierarchy.point.clone() } else { self.hierarchy.point.join(&self.path) }
    }

    fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Opens a file of the directory.
    pub fn open(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self.hierarchy.dir(), self.file(name), flags, Mode::empty())?)
    }

    /// Writes the whole of `value` at once.
    pub fn try_write(&self, name: &str, value: &str) -> io::Result<()> {
        put(&self.open(name, OFlags::WRONLY)?, value)
    }

    /// The same with the error made readable.
    pub fn write(&self, name: &str, value: &str) -> Result<()> {
        self.try_write(name, value).map_err(|e| self.write_error(name, value, e))
    }

    /// The error of a failed write.
    pub fn write_error(&self, name: &str, value: &str, source: io::Error) -> Error {
        let step = match source.kind() {
            io::ErrorKind::NotFound => "open".to_owned(),
            _ => format!("failed to write {value:?}: write"),
        };
        Error::io(step, self.full().join(name), source)
    }

    /// Reads a whole file.
    pub fn try_read(&self, name: &str) -> io::Result<String> {
        read(self.hierarchy.dir(), &self.file(name))
    }

    /// The same with the error made readable.
    pub fn read(&self, name: &str) -> Result<String> {
        self.try_read(name).map_err(|e| Error::io("read", self.full().join(name), e))
    }

    /// Reads a file of one number; `None` when it cannot be read or is none.
    pub fn number(&self, name: &str) -> Option<u64> {
        parse::number(&self.try_read(name).ok()?)
    }
}

/// Writes the whole of `value` at once.
pub(super) fn put(file: &OwnedFd, value: &str) -> io::Result<()> {
    let written = rustix::io::write(file, value.as_bytes())?;
    if written == value.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Reads a whole file below `dir`; most fit into one read.
pub(super) fn read(dir: BorrowedFd<'_>, path: &str) -> io::Result<String> {
    let file = rustix::fs::openat(dir, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(&file, &mut buffer)? {
            0 => break,
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
    String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// A deadline with growing pauses, for what the kernel gives no event for.
pub(super) struct Pauses {
    until: Instant,
    next: Duration,
}

impl Pauses {
    pub fn until(deadline: Duration) -> Self {
        Self { until: Instant::now() + deadline, next: Duration::from_micros(200) }
    }

    /// What is left; zero when the time is over.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Waits a little, twice as long each time up to 20 ms; false when the time is over.
    pub fn pause(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        wait(&mut [], self.next.min(left));
        self.next = (self.next * 2).min(Duration::from_millis(20));
        true
    }
}

/// Waits for one of `fds`, at most for `timeout`; an interruption counts as an event.
pub(super) fn wait(fds: &mut [rustix::event::PollFd<'_>], timeout: Duration) {
    if let Ok(timeout) = rustix::event::Timespec::try_from(timeout) {
        // The caller looks at the state itself, whatever ended the wait.
        let _ = rustix::event::poll(fds, Some(&timeout));
    }
}
