//! Counters that wake: eventfd.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::Result;
use crate::error::Context;

/// A non-blocking eventfd.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// Opens one with count 0.
    pub fn open() -> Result<Self> {
        let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .during("eventfd", "")?;
        Ok(Self { fd })
    }

    /// Adds one.
    pub fn signal(&self) -> Result<()> {
        rustix::io::write(&self.fd, &1_u64.to_ne_bytes()).map(drop).during("write eventfd", "")
    }

    /// Takes the count; 0 when nothing was added.
    pub fn take(&self) -> Result<u64> {
        let mut count = [0_u8; 8];
        match rustix::io::read(&self.fd, &mut count) {
            Ok(_) => Ok(u64::from_ne_bytes(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            Err(errno) => Err(errno).during("read eventfd", ""),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_empties() {
        let events = EventFd::open().unwrap();
        events.signal().unwrap();
        events.signal().unwrap();
        assert_eq!((events.take().unwrap(), events.take().unwrap()), (2, 0));
    }
}
