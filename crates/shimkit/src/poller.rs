//! The epoll instance: tokens in, readiness out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// What the loop calls a registered descriptor; never used twice.
pub type Token = u64;

/// What to wait for. A hang-up is always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Only the hang-up.
    HangUp,
    /// Bytes to read.
    Read,
    /// Room to write.
    Write,
    /// Both.
    ReadWrite,
}

impl Interest {
    /// The interest made of two wishes.
    pub fn new(read: bool, write: bool) -> Self {
        match (read, write) {
            (false, false) => Self::HangUp,
            (true, false) => Self::Read,
            (false, true) => Self::Write,
            (true, true) => Self::ReadWrite,
        }
    }

    fn flags(self) -> epoll::EventFlags {
        match self {
            Self::HangUp => epoll::EventFlags::empty(),
            Self::Read => epoll::EventFlags::IN,
            Self::Write => epoll::EventFlags::OUT,
            Self::ReadWrite => epoll::EventFlags::IN | epoll::EventFlags::OUT,
        }
    }
}

/// Events taken from the kernel at once.
const BATCH: usize = 16;

/// An epoll instance.
#[derive(Debug)]
pub struct Poller {
    epoll: OwnedFd,
    next_token: Token,
}

impl Poller {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, next_token: 0 })
    }

    /// Watches a descriptor under a new token.
    pub fn add(&mut self, fd: impl AsFd, interest: Interest) -> io::Result<Token> {
        let token = self.next_token;
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?;
        self.next_token += 1;
        Ok(token)
    }

    /// Changes what is waited for.
    pub fn modify(&self, fd: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Stops watching. Closing a descriptor that others hold open too does not.
    pub fn remove(&self, fd: impl AsFd) {
        // A descriptor that is not watched is what we want.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// Waits until something is ready or the time is over and tells what; an interruption is an empty answer. Errors
    /// and hang-ups count as ready, so that the next call finds them.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<Vec<Token>> {
        let empty = epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let mut events = [empty; BATCH];
        let timeout = timeout.map(|t| Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(t.subsec_nanos()),
        });
        let count = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(e) => return Err(e.into()),
        };
        let token = |event: &epoll::Event| {
            let data = event.data;
            data.u64()
        };
        Ok(events[..count].iter().map(token).collect())
    }
}
