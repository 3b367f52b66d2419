//! What the runtime and the new process say to each other, over one pair of sockets.
//!
//! ```text
//! runtime                         process
//!    | ---- Go (ids are mapped) ---> |   only with a user namespace or devices to move
//!    | <--------- Hooks ------------ |   only when there are hooks to run outside
//!    | ------------ Go ------------> |
//!    | <--------- Limits ----------- |   only with a user namespace and limits
//!    | ------------ Go ------------> |
//!    | <--- Listener (its number) -- |   only with a seccomp listener
//!    | ------------ Go ------------> |
//!    | <--------- Ready ------------ |   or Failed with a text, at any time
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use crate::{Error, Result};

/// A message.
#[derive(Debug)]
pub(crate) enum Message {
    /// Go on.
    Go,
    /// Run the hooks that belong here.
    Hooks,
    /// Set the resource limits, which a process in a user namespace may not raise itself.
    Limits,
    /// The seccomp listener is the process's descriptor of this number; take it.
    Listener(RawFd),
    /// The middle process has cloned the real one; its number.
    Cloned(i32),
    /// Everything is in place.
    Ready,
    /// It will not work; why.
    Failed(String),
}

/// Longest message; longer texts are cut.
const LONGEST: usize = 16 * 1024;

/// One end.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

impl Channel {
    /// Both ends.
    pub fn pair() -> Result<(Self, Self)> {
        let (left, right) = kernel::socket::packet_pair()?;
        Ok((Self { socket: left }, Self { socket: right }))
    }

    /// Sends a message. The other end being gone is an error.
    pub fn send(&self, message: &Message) -> Result<()> {
        let mut bytes = Vec::with_capacity(8);
        match message {
            Message::Go => bytes.push(b'G'),
            Message::Hooks => bytes.push(b'H'),
            Message::Limits => bytes.push(b'M'),
            Message::Listener(number) => {
                bytes.push(b'L');
                bytes.extend_from_slice(&number.to_ne_bytes());
            }
            Message::Cloned(pid) => {
                bytes.push(b'C');
                bytes.extend_from_slice(&pid.to_ne_bytes());
            }
            Message::Ready => bytes.push(b'R'),
            Message::Failed(text) => {
                bytes.push(b'F');
                bytes.extend_from_slice(&text.as_bytes()[..text.len().min(LONGEST - 1)]);
            }
        }
        // A plain write: the process's own filter may already be in force, and allows that sooner than sendmsg.
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&self.socket, &bytes));
        written
            .map(drop)
            .map_err(|errno| Error::unknown(format!("write sync socket: {}", kernel::strerror(errno))))
    }

    /// Waits for a message; `None` when the other end is gone.
    pub fn receive(&self) -> Result<Option<Message>> {
        let mut buffer = [0; LONGEST];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(&self.socket, &mut buffer))
            .map_err(|errno| Error::unknown(format!("read sync socket: {}", kernel::strerror(errno))))?;
        let strange = || Error::unknown("strange message between the runtime and the container's process");
        let message = match &buffer[..length] {
            [] => return Ok(None),
            [b'G'] => Message::Go,
            [b'H'] => Message::Hooks,
            [b'M'] => Message::Limits,
            [b'L', a, b, c, d] => Message::Listener(RawFd::from_ne_bytes([*a, *b, *c, *d])),
            [b'C', a, b, c, d] => Message::Cloned(i32::from_ne_bytes([*a, *b, *c, *d])),
            [b'R'] => Message::Ready,
            [b'F', text @ ..] => Message::Failed(String::from_utf8_lossy(text).into_owned()),
            _ => return Err(strange()),
        };
        Ok(Some(message))
    }

    /// Waits for leave to go on.
    pub fn wait_go(&self) -> Result<()> {
        match self.receive()? {
            Some(Message::Go) => Ok(()),
            _ => Err(Error::unknown("the runtime has given up")),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_and_the_end_is_told() {
        let (left, right) = Channel::pair().unwrap();
        left.send(&Message::Cloned(7)).unwrap();
        left.send(&Message::Failed("x".repeat(LONGEST * 2))).unwrap();
        assert!(matches!(right.receive().unwrap(), Some(Message::Cloned(7))));
        assert!(matches!(right.receive().unwrap(), Some(Message::Failed(text)) if text.len() == LONGEST - 1));
        drop(left);
        assert!(right.receive().unwrap().is_none());
    }
}
