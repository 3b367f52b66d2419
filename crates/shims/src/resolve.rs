//! From a runtime's name to a shim's binary.
//!
//! `io.containerd.runc.v2` means `containerd-shim-runc-v2`: the last two components of the name. It is looked for beside
//! the daemon's own executable, in the daemon's working directory, then in `$PATH`. An absolute path is taken as it is.
//! An answer is kept for the life of the process.

use model::{Error, Result, error::os_text};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The shim that our own binary also answers for when it lies beside the daemon.
const RUNC_SHIM: &str = "containerd-shim-runc-v2";
/// The name of our own shim's binary.
pub(crate) const OWN_SHIM: &str = "gantry-shim";

/// Finds shims' binaries.
#[derive(Debug)]
pub(crate) struct Resolver {
    beside: Option<PathBuf>,
    path: Vec<PathBuf>,
    found: Mutex<HashMap<String, PathBuf>>,
}

impl Resolver {
    /// A resolver for the daemon with this executable and this `$PATH`.
    pub(crate) fn new(executable: &Path, path: &std::ffi::OsStr) -> Self {
        Self {
            beside: executable.parent().map(Path::to_path_buf),
            path: std::env::split_paths(path).filter(|dir| dir.is_absolute()).collect(),
            found: Mutex::default(),
        }
    }

    /// The binary of a runtime.
    pub(crate) fn resolve(&self, runtime: &str) -> Result<PathBuf> {
        if runtime.is_empty() {
            return Err(Error::unknown("no runtime name"));
        }
        if let Some(known) = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(runtime) {
            return Ok(known.clone());
        }
        let binary = self.look_up(runtime)?;
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(runtime.to_owned(), binary.clone());
        Ok(binary)
    }

    fn look_up(&self, runtime: &str) -> Result<PathBuf> {
        let path = Path::new(runtime);
        if path.is_absolute() {
            return match std::fs::metadata(path) {
                Ok(_) => Ok(path.to_path_buf()),
                Err(e) => {
                    let text = format!("invalid custom binary path: stat {runtime}: {}", os_text(&e));
                    Err(Error::unknown(text).with_source(e))
                }
            };
        }
        let name = binary_name(runtime).ok_or_else(|| {
            Error::unknown(format!(
                "invalid runtime name {runtime}, correct runtime name should be either format like \
                 `io.containerd.runc.v2` or a full path to the binary"
            ))
        })?;
        self.candidates(&name).into_iter().find(|path| is_executable(path)).ok_or_else(|| {
            let text = format!("runtime {runtime:?} binary not installed {name:?}: file does not exist");
            Error::unknown(text)
        })
    }

    fn candidates(&self, name: &str) -> Vec<PathBuf> {
        let mut candidates = Vec::new();
        if let Some(dir) = &self.beside {
            candidates.push(dir.join(name));
            if name == RUNC_SHIM {
                candidates.push(dir.join(OWN_SHIM));
            }
        }
        if let Ok(absolute) = std::path::absolute(name) {
            candidates.push(absolute);
        }
        candidates.extend(self.path.iter().map(|dir| dir.join(name)));
        candidates
    }
}

/// The file name of a runtime's shim; `None` when the name is not well formed.
fn binary_name(runtime: &str) -> Option<String> {
    if runtime.contains('/') {
        return None;
    }
    let parts: Vec<&str> = runtime.split('.').collect();
    match parts.as_slice() {
        [first, .., name, version] if !first.is_empty() => Some(format!("containerd-shim-{name}-{version}")),
        [name, version] if !name.is_empty() => Some(format!("containerd-shim-{name}-{version}")),
        _ => None,
    }
}

fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    fn install(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, "#!/bin/sh\n").expect("write");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("chmod");
        path
    }

    #[test]
    fn names() {
        for (runtime, binary) in [
            ("io.containerd.runc.v2", Some("containerd-shim-runc-v2")),
            ("runc.v2", Some("containerd-shim-runc-v2")),
            ("a.b.c.d", Some("containerd-shim-c-d")),
            ("runc", None),
            (".runc.v2", None),
            (".v2", None),
            ("io.containerd/runc.v2", None),
        ] {
            assert_eq!(binary_name(runtime).as_deref(), binary, "{runtime}");
        }
    }

    #[test]
    fn beside_the_daemon_first_and_kept() {
        let (own, other) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
        let in_path = install(other.path(), RUNC_SHIM);
        let path = other.path().as_os_str().to_owned();
        let resolver = || Resolver::new(&own.path().join("gantryd"), &path);
        assert_eq!(resolver().resolve("io.containerd.runc.v2").expect("in PATH"), in_path);
        let ours = install(own.path(), OWN_SHIM);
        let kept = resolver();
        assert_eq!(kept.resolve("io.containerd.runc.v2").expect("ours"), ours);
        let beside = install(own.path(), RUNC_SHIM);
        assert_eq!(resolver().resolve("io.containerd.runc.v2").expect("beside"), beside);
        assert_eq!(kept.resolve("io.containerd.runc.v2").expect("kept"), ours);
    }

    #[test]
    fn texts() {
        let resolver = Resolver::new(Path::new("/nowhere/gantryd"), OsStr::new("/nowhere"));
        for (runtime, text) in [
            ("", "no runtime name"),
            ("/no/shim", "invalid custom binary path: stat /no/shim: no such file or directory"),
            (
                "runc",
                "invalid runtime name runc, correct runtime name should be either format like `io.containerd.runc.v2` or a full path to the binary",
            ),
            (
                "io.x.nope.v1",
                "runtime \"io.x.nope.v1\" binary not installed \"containerd-shim-nope-v1\": file does not exist",
            ),
        ] {
            assert_eq!(resolver.resolve(runtime).expect_err(runtime).text(), text);
        }
    }
}
