//! Where a shim listens: the socket's name, and what to do when somebody listens there already.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use model::{Error, Result};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};
use rustix::io::retry_on_intr;
use sha2::{Digest, Sha256};
use ttrpc::client_sync::Client;

/// Directory of sockets when the daemon names none.
pub const SOCKET_DIR: &str = "/run/containerd/s";

/// Longest path a socket may have, bytes.
const PATH_BYTES: usize = 106;

/// What makes a shim's socket the same or another one.
#[derive(Clone, Copy, Debug)]
pub struct Group<'a> {
    /// The daemon's gRPC address.
    pub daemon: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Id of the group: containers of one group share a shim.
    pub name: &'a str,
}

impl Group<'_> {
    /// Path of the group's socket in `dir`.
    pub fn socket_path(&self, dir: &Path) -> PathBuf {
        let joined = clean(&[self.daemon, self.namespace, self.name].join("/"));
        let mut name = String::with_capacity(64);
        for byte in Sha256::digest(joined.as_bytes()) {
            use std::fmt::Write;
            // Writing to a string cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        dir.join(name)
    }
}

/// A path without doubled slashes, `.` and `..`, as the daemon's side computes it.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    if path.starts_with('/') { format!("/{joined}") } else { joined }
}

/// What was found at a socket's path.
#[derive(Debug)]
pub enum Place {
    /// Ours to serve.
    Free(UnixListener),
    /// A living shim serves there.
    Taken,
}

/// Listens at `path`, unless a living shim does already. What a dead one left is removed.
pub fn claim(path: &Path) -> Result<Place> {
    if path.as_os_str().len() > PATH_BYTES {
        let text = format!("{path:?}: unix socket path too long (> {PATH_BYTES})");
        return Err(Error::unknown(text));
    }
    if let Some(parent) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|e| Error::io("mkdir", parent, e))?;
    }
    let _alone = lock(path)?;
    for _ in 0..2 {
        match UnixListener::bind(path) {
            Ok(listener) => {
                let mode = std::fs::Permissions::from_mode(0o600);
                std::fs::set_permissions(path, mode).map_err(|e| Error::io("chmod", path, e))?;
                listener.set_nonblocking(true).map_err(|e| Error::io("listen", path, e))?;
                return Ok(Place::Free(listener));
            }
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
            Err(e) => return Err(Error::io("listen", path, e)),
        }
        if is_served(path) {
            return Ok(Place::Taken);
        }
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", path, e)),
            _ => {}
        }
    }
    Err(Error::unknown(format!("listen {}: address already in use", path.display())))
}

/// Removes the socket of a shim that is dead.
pub fn discard(path: &Path) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let _alone = lock(path)?;
    if is_served(path) {
        return Ok(());
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

/// Keeps others from claiming and discarding in the socket's directory, where nothing waits: a socket that is bound but
/// does not listen yet looks dead, and one taken for dead may have been replaced by a living one.
fn lock(path: &Path) -> Result<OwnedFd> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(CWD, dir, flags, Mode::empty()).map_err(|e| Error::io("open", dir, e.into()))?;
    retry_on_intr(|| flock(&opened, FlockOperation::LockExclusive))
        .map_err(|e| Error::io("lock", dir, e.into()))?;
    Ok(opened)
}

/// Whether a shim listens at `path`; one whose queue is full does.
fn is_served(path: &Path) -> bool {
    match Client::connect(path) {
        Ok(_) => true,
        Err(e) => e.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Leaves a link `s` to the socket's directory in the bundle, so that others find it for cleaning up.
pub fn link_dir(bundle: &Path, path: &Path) {
    if let Some(dir) = path.parent() {
        // A link of an earlier call, or a bundle on a read-only place, is no reason to fail.
        let _ = symlink(dir, bundle.join("s"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_a_hash_of_the_cleaned_path() {
        let group = Group { daemon: "/run/containerd/containerd.sock", namespace: "default", name: "x" };
        let path = group.socket_path(Path::new("/run/containerd/s"));
        // printf /run/containerd/containerd.sock/default/x | sha256sum
        let hash = "5e250b13f984a15f73216d143af1bf3c64171aa56c781ba9d4040c75b2c1eee2";
        assert_eq!(path, Path::new("/run/containerd/s").join(hash));
        let other = Group { daemon: "/run//containerd/./containerd.sock", ..group };
        assert_eq!(other.socket_path(Path::new("/run/containerd/s")), path);
        assert_ne!(Group { name: "y", ..group }.socket_path(Path::new("/run/containerd/s")), path);
    }

    #[test]
    fn cleaning() {
        for (path, cleaned) in
            [("/a/b/c", "/a/b/c"), ("//a//b/", "/a/b"), ("a/./b/../c", "a/c"), ("/..", "/")]
        {
            assert_eq!(clean(path), cleaned);
        }
    }

    #[test]
    fn claims_once_joins_the_living_and_replaces_the_dead() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("s/0123");
        let Place::Free(listener) = claim(&path).expect("claim") else { panic!("nobody is there") };
        assert_eq!(std::fs::metadata(&path).expect("socket").permissions().mode() & 0o777, 0o600);
        assert!(matches!(claim(&path).expect("claim"), Place::Taken));
        drop(listener);
        assert!(matches!(claim(&path).expect("claim"), Place::Free(_)));
        assert!(claim(&dir.path().join("x".repeat(100))).is_err());
    }

    /// Whoever finds a dead socket, only one gets the place.
    #[test]
    fn of_many_one_claims() {
        let dir = tempfile::tempdir().expect("dir");
        for round in 0..200 {
            let path = dir.path().join(format!("s{round}"));
            drop(UnixListener::bind(&path).expect("bind"));
            let start = std::sync::Barrier::new(4);
            let claims: Vec<Place> = std::thread::scope(|scope| {
                let claim = || {
                    start.wait();
                    claim(&path).expect("claim")
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(claim)).collect();
                threads.into_iter().map(|thread| thread.join().expect("join")).collect()
            });
            let free = claims.iter().filter(|place| matches!(place, Place::Free(_))).count();
            assert_eq!(free, 1, "round {round}");
        }
    }
}
