//! A bundle on disk: its few files of ours and its root file system.

use std::io;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use kernel::mount::{Mount, mount_all, unmount_recursive_holding};
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

/// Takes away everything mounted at or below the root file system. To be called by a process that ends soon.
///
/// An overlay is gone from sight here and ends with this process. Its end waits for the disk, for seconds on a busy
/// node; but whoever asked for the removal has its answer before this process exits.
pub fn unmount(bundle: &Path) -> Result<()> {
    let held = unmount_recursive_holding(&bundle.join("rootfs"))
        .map_err(|e| Error::unknown(format!("failed to unmount rootfs: {e}")))?;
    for overlay in held {
        // Nobody closes it but the end of the process.
        let _ = overlay.into_raw_fd();
    }
    Ok(())
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
