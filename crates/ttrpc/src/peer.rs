//! Who is at the other end of a Unix socket.

use std::io;
use std::os::fd::AsFd;

use rustix::net::sockopt::socket_peercred;
use rustix::process::{getegid, geteuid};

/// Refuses a peer whose effective user or group is not ours, with `PermissionDenied`.
pub fn require_same_user(socket: impl AsFd) -> io::Result<()> {
    let peer = socket_peercred(socket)?;
    if peer.uid == geteuid() && peer.gid == getegid() {
        return Ok(());
    }
    let text = format!("peer has user {} and group {}, not ours", peer.uid.as_raw(), peer.gid.as_raw());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}
