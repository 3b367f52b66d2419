//! Unix sockets that carry descriptors and credentials.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
};

use crate::Result;
use crate::error::Context;

/// How many descriptors one message may carry.
const MOST_FDS: usize = 8;

/// A connected pair that keeps message borders (`SOCK_SEQPACKET`).
pub fn packet_pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .during("socketpair", "")
}

/// Connects to a listening stream socket.
pub fn connect(path: &Path) -> Result<OwnedFd> {
    let address = SocketAddrUnix::new(path).during("dial unix", path)?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .during("socket", "")?;
    rustix::net::connect(&socket, &address).during("dial unix", path)?;
    Ok(socket)
}

/// Sends one message with descriptors. The message must not be empty when there are descriptors.
pub fn send(socket: impl AsFd, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::TOOBIG).during("sendmsg", "");
    }
    let data = [IoSlice::new(message)];
    rustix::io::retry_on_intr(|| rustix::net::sendmsg(&socket, &data, &mut control, SendFlags::NOSIGNAL))
        .map(drop)
        .during("sendmsg", "")
}

/// Receives one message of at most `buffer.len()` bytes; 0 bytes mean the other side has closed.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut data = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(&socket, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other.during("recvmsg", "")?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

/// Process, user and group at the other end of a connected socket.
pub fn peer(socket: impl AsFd) -> Result<(i32, u32, u32)> {
    let found = rustix::net::sockopt::socket_peercred(socket).during("getsockopt SO_PEERCRED", "")?;
    Ok((found.pid.as_raw_nonzero().get(), found.uid.as_raw(), found.gid.as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel() {
        let (left, right) = packet_pair().unwrap();
        send(&left, b"x", &[left.as_fd()]).unwrap();
        let mut buffer = [0; 8];
        let (length, fds) = receive(&right, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], fds.len()), (&b"x"[..], 1));
        assert_eq!(peer(&fds[0]).unwrap().0, std::process::id() as i32);
    }
}
