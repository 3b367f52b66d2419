//! One daemon to a root: the lock, and the refusal of a root that is not ours.

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The file whose lock says that a root is taken; it holds the pid of the daemon that took it.
const NAME: &str = "gantryd.lock";
/// containerd's own database.
const BOLT: &str = "io.containerd.metadata.v1.bolt/meta.db";

/// The lock on a root, held until dropped or until the process ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

/// Takes a root for this daemon.
///
/// # Errors
/// Another daemon holds it, or it belongs to containerd.
pub fn take(root: &Path) -> Result<Lock> {
    if root.join(BOLT).exists() {
        bail!(
            "root {} belongs to containerd: it holds {BOLT}, which this version cannot read, and its images and containers \
             would look like rubbish; start with another --root",
            root.display()
        );
    }
    let path = root.join(NAME);
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let mut file = File::from(
        open(&path, flags, Mode::from_raw_mode(0o600)).with_context(|| format!("open {}", path.display()))?,
    );
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        file.read_to_string(&mut pid).ok();
        bail!(
            "root {} is in use by another gantryd (pid {}); stop it, or start with another --root",
            root.display(),
            pid.trim()
        );
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .with_context(|| format!("write {}", path.display()))?;
    Ok(Lock(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_daemon_to_a_root() {
        let dir = tempfile::tempdir().expect("tempdir");
        let held = take(dir.path()).expect("first");
        let error = take(dir.path()).expect_err("second").to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(held);
        take(dir.path()).expect("after the first has gone");
    }

    #[test]
    fn refuses_the_root_of_containerd() {
        let dir = tempfile::tempdir().expect("tempdir");
        std::fs::create_dir(dir.path().join("io.containerd.metadata.v1.bolt")).expect("mkdir");
        std::fs::write(dir.path().join(BOLT), "").expect("write");
        assert!(take(dir.path()).expect_err("refused").to_string().contains("belongs to containerd"));
    }
}
