//! A bundle on disk: its few files of ours and its root file system.

use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use kernel::mount::{Detach, Mount, mount_all, unmount_recursive};
use model::{Error, Result};
use oci::runtime::Spec;

/// Makes `rootfs`, `options.json` and `runtime`.
pub fn prepare(bundle: &Path, options_json: &str, program: &str) -> Result<()> {
    let rootfs = bundle.join("rootfs");
    match std::fs::DirBuilder::new().mode(0o711).create(&rootfs) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(Error::io("mkdir", rootfs, e)),
        _ => {}
    }
    write(&bundle.join("options.json"), options_json)?;
    write(&bundle.join("runtime"), program)
}

fn write(path: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| Error::io("open", path, e))
}

/// Mounts the root file system.
pub fn mount(bundle: &Path, mounts: &[Mount]) -> Result<()> {
    mount_all(mounts, &bundle.join("rootfs"))
        .map_err(|e| Error::unknown(format!("failed to mount rootfs component: {e}")))
}

/// Takes away everything mounted at or below the root file system.
pub fn unmount(bundle: &Path) -> Result<()> {
    unmount_recursive(&bundle.join("rootfs"), Detach::No)
        .map_err(|e| Error::unknown(format!("failed to unmount rootfs: {e}")))
}

/// The bundle's configuration.
pub fn spec(bundle: &Path) -> Result<Spec> {
    let path = bundle.join("config.json");
    let text = std::fs::read(&path).map_err(|e| Error::io("open", &path, e))?;
    serde_json::from_slice(&text).map_err(|e| Error::unknown(format!("read {}: {e}", path.display())))
}

/// Whether the container has a pid namespace of its own; one it joins by path is not.
pub fn has_private_pids(bundle: &Path) -> bool {
    let Ok(spec) = spec(bundle) else { return false };
    let namespaces = spec.linux.map(|linux| linux.namespaces).unwrap_or_default();
    namespaces.iter().any(|namespace| namespace.kind == "pid" && namespace.path.is_empty())
}
