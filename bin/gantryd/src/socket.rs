//! The daemon's sockets: made fresh, with containerd's modes, never taken from a live daemon.

use anyhow::{Context, Result, bail};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// The longest path of a socket, in bytes (unix(7), less the room that clients need for suffixes).
const MAX_PATH: usize = 104;

/// A listening socket; its file goes when it is dropped.
pub struct Socket {
    /// The listener, until it is served.
    pub listener: Option<UnixListener>,
    path: PathBuf,
}

/// Who may use a socket.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Listens on a path.
///
/// # Errors
/// The path is too long, a live daemon listens there, or the directory cannot be written.
pub fn listen(path: &Path, owner: Owner) -> Result<Socket> {
    if path.as_os_str().len() > MAX_PATH {
        bail!("socket path {} is longer than {MAX_PATH} bytes; choose a shorter --address", path.display());
    }
    let step = || format!("listen on {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("make directory {}", dir.display()))?;
    }
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            bail!(
                "socket {} is in use by a live daemon; stop it, or choose another --address",
                path.display()
            );
        }
        std::fs::remove_file(path).with_context(|| format!("remove stale socket {}", path.display()))?;
    }
    let listener = UnixListener::bind(path).with_context(step)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).with_context(step)?;
    chown(path, Some(owner.uid), Some(owner.gid)).with_context(step)?;
    Ok(Socket { listener: Some(listener), path: path.to_owned() })
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A daemon that started in our place may have removed it already.
        std::fs::remove_file(&self.path).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_live_socket_is_left_alone_and_a_stale_one_replaced() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("s.sock");
        let owner = Owner { uid: 0, gid: 0 };
        let mut live = listen(&path, owner).expect("free");
        let error = listen(&path, owner).err().expect("live").to_string();
        assert!(error.contains("in use by a live daemon"), "{error}");
        live.listener = None;
        std::mem::forget(live);
        listen(&path, owner).expect("stale");
        assert!(!path.exists());
        assert!(listen(&dir.path().join("x".repeat(200)), owner).is_err());
    }
}
