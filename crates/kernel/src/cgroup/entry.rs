//! A group held open for processes that move themselves into it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::OFlags;

use super::error::{Error, Result};
use super::file::Node;

/// A group held open. Made before a clone, used in the new process.
#[derive(Debug)]
pub struct Entry {
    tasks: Vec<OwnedFd>,
    unified: Option<OwnedFd>,
}

impl Entry {
    pub(super) fn open(nodes: &[Node]) -> Result<Self> {
        let mut entry = Self { tasks: Vec::with_capacity(nodes.len()), unified: None };
        for node in nodes {
            let (name, flags) = match node.hierarchy.is_unified() {
                true => (".", OFlags::RDONLY | OFlags::DIRECTORY),
                false => ("tasks", OFlags::WRONLY),
            };
            let file = node.open(name, flags).map_err(|e| Error::io("open", node.full().join(name), e))?;
            if node.hierarchy.is_unified() {
                entry.unified = Some(file);
            } else {
                entry.tasks.push(file);
            }
        }
        Ok(entry)
    }

    /// The version 2 directory, for `CLONE_INTO_CGROUP`.
    pub fn unified(&self) -> Option<BorrowedFd<'_>> {
        self.unified.as_ref().map(OwnedFd::as_fd)
    }

    /// Moves the calling thread into every version 1 group: the whole process if it has no other thread. Allocates nothing.
    pub fn enter(&self) -> io::Result<()> {
        for tasks in &self.tasks {
            rustix::io::write(tasks, b"0")?;
        }
        Ok(())
    }

    /// Moves the calling process into the version 2 group, where it was not cloned into it.
    pub fn enter_unified(&self) -> io::Result<()> {
        let Some(dir) = &self.unified else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let procs = rustix::fs::openat(dir, "cgroup.procs", flags, rustix::fs::Mode::empty())?;
        rustix::io::write(&procs, b"0")?;
        Ok(())
    }
}
