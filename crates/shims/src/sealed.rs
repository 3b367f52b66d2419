//! Our own shim, executed from a place where nobody can write it.
//!
//! A container's first process is a copy of its shim for a while and shows it as `/proc/<pid>/exe`, so the shim makes
//! sure that it runs from a detached read-only mount: otherwise it executes itself once more. The daemon saves it that by
//! holding such a mount of the binary. Other shims are executed by their path: they may look where they lie.

use crate::resolve::OWN_SHIM;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The mounts that are held, by the path of the binary.
#[derive(Debug, Default)]
pub(crate) struct Sealed(Mutex<HashMap<PathBuf, Held>>);

#[derive(Debug)]
struct Held {
    /// Device, inode and time of the last change: another file may come to lie there.
    identity: (u64, u64, i64, i64),
    file: Arc<OwnedFd>,
}

impl Sealed {
    /// What to execute for a binary: the file in its mount. `None` for others' shims, and where it cannot be mounted.
    pub(crate) fn file(&self, binary: &Path) -> Option<Arc<OwnedFd>> {
        let found = std::fs::metadata(binary).ok()?;
        let identity = (found.dev(), found.ino(), found.ctime(), found.ctime_nsec());
        if let Some(known) = self.lock().get(binary).filter(|known| known.identity == identity) {
            return Some(Arc::clone(&known.file));
        }
        let path = std::fs::canonicalize(binary).ok()?;
        if path.file_name()? != OWN_SHIM {
            return None;
        }
        let file = Arc::new(kernel::process::sealed(&path).ok()?);
        self.lock().insert(binary.to_path_buf(), Held { identity, file: Arc::clone(&file) });
        Some(file)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_and_again_when_it_is_another() {
        let dir = tempfile::tempdir().expect("dir");
        let (own, link) = (dir.path().join(OWN_SHIM), dir.path().join("containerd-shim-runc-v2"));
        let other = dir.path().join("containerd-shim-other-v1");
        for path in [&own, &other] {
            std::fs::write(path, "first").expect("write");
        }
        std::os::unix::fs::symlink(OWN_SHIM, &link).expect("link");
        let sealed = Sealed::default();
        assert!(sealed.file(&other).is_none() && sealed.file(&dir.path().join("none")).is_none());
        let first = sealed.file(&link).expect("ours by another name");
        assert!(Arc::ptr_eq(&first, &sealed.file(&link).expect("held")));
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&*first));
        let refused = std::fs::OpenOptions::new().write(true).open(&path).expect_err("read-only");
        assert_eq!(refused.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        std::fs::write(dir.path().join("new"), "second").expect("write");
        std::fs::rename(dir.path().join("new"), &own).expect("rename");
        let second = sealed.file(&link).expect("the new one");
        assert!(!Arc::ptr_eq(&first, &second));
    }
}
