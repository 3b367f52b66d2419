//! Telling when a group runs out of memory.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::{OFlags, inotify};
use rustix::io::Errno;

use super::error::{Error, Result};
use super::file::Node;
use super::parse;

/// Becomes readable when the group runs out of memory; in version 1 also when it is removed, in version 2 also when it
/// only reaches its limit.
pub struct OomWatch {
    events: OwnedFd,
    counters: OwnedFd,
    seen: Seen,
}

/// How events are counted.
enum Seen {
    /// Version 1: the event descriptor counts them.
    Eventfd,
    /// Version 2: kills counted in `memory.events` so far.
    Kills(u64),
}

impl OomWatch {
    /// Version 1: an eventfd registered for `memory.oom_control`.
    pub(super) fn v1(node: &Node) -> Result<Self> {
        let error = |step: &str, name: &str, e| Error::io(step, node.full().join(name), e);
        let events = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|e| error("eventfd for", "memory.oom_control", e.into()))?;
        let counters = node
            .open("memory.oom_control", OFlags::RDONLY)
            .map_err(|e| error("open", "memory.oom_control", e))?;
        let line = format!("{} {}", raw(&events), raw(&counters));
        node.write("cgroup.event_control", &line)?;
        Ok(Self { events, counters, seen: Seen::Eventfd })
    }

    /// Version 2: an inotify watch on `memory.events`.
    pub(super) fn v2(node: &Node) -> Result<Self> {
        let path = node.full().join("memory.events");
        let error = |step: &str, e| Error::io(step, &path, e);
        let counters = node.open("memory.events", OFlags::RDONLY).map_err(|e| error("open", e))?;
        let events = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .map_err(|e| error("inotify for", e.into()))?;
        inotify::add_watch(&events, &path, inotify::WatchFlags::MODIFY)
            .map_err(|e| error("watch", e.into()))?;
        let kills = counter(&counters).unwrap_or(0);
        Ok(Self { events, counters, seen: Seen::Kills(kills) })
    }

    /// How often memory ran out since the last call; never waits. 0 when nothing happened or the group was only removed.
    pub fn read(&mut self) -> Result<u64> {
        let error = |e: Errno| Error::io("read", "oom events", e);
        match self.seen {
            Seen::Eventfd => {
                let mut count = [0; 8];
                match rustix::io::read(&self.events, &mut count) {
                    Ok(_) => {
                        let removed = u64::from(self.is_removed());
                        Ok(u64::from_ne_bytes(count).saturating_sub(removed))
                    }
                    Err(Errno::AGAIN) => Ok(0),
                    Err(e) => Err(error(e)),
                }
            }
            Seen::Kills(before) => {
                let mut buffer = [0; 1024];
                while let Ok(1..) = rustix::io::read(&self.events, &mut buffer) {}
                let now = counter(&self.counters).unwrap_or(before);
                self.seen = Seen::Kills(now);
                Ok(now.saturating_sub(before))
            }
        }
    }

    /// Whether the group is gone, after which nothing more comes.
    pub fn is_removed(&self) -> bool {
        rustix::io::pread(&self.counters, &mut [0; 8], 0) == Err(Errno::NODEV)
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}

impl fmt::Debug for OomWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OomWatch").field("events", &self.events).finish_non_exhaustive()
    }
}

fn raw(fd: &OwnedFd) -> i32 {
    std::os::fd::AsRawFd::as_raw_fd(fd)
}

/// Kills counted in `memory.events`; `None` when the group is gone.
fn counter(file: &OwnedFd) -> Option<u64> {
    let mut buffer = [0; 512];
    let length = rustix::io::pread(file, &mut buffer, 0).ok()?;
    let text = std::str::from_utf8(&buffer[..length]).ok()?;
    parse::pairs(text).find(|(key, _)| *key == "oom_kill").map(|(_, value)| value)
}
