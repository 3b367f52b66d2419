//! Snapshots mounted on this machine, which is the daemon's too, in the mount namespace of who runs the command.

use anyhow::{Context as _, Result};
use kernel::mount;
use std::path::Path;

/// Mounts a snapshot on a fresh directory, looks, and takes it away again.
///
/// # Errors
/// It cannot be mounted (this has to be root on the daemon's machine) or unmounted; those of `act`.
pub fn with<T>(mounts: &[model::Mount], act: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
    let at = std::env::temp_dir().join(format!("gantry-mount-{}", crate::context::unique()));
    let mounts: Vec<mount::Mount> = mounts.iter().cloned().map(to_kernel).collect();
    std::fs::create_dir(&at).with_context(|| format!("make {}", at.display()))?;
    let done = match mount::mount_all(&mounts, &at) {
        Ok(()) => {
            let done = act(&at);
            mount::unmount_recursive(&at, mount::Detach::No)?;
            done
        }
        Err(e) => Err(e.into()),
    };
    std::fs::remove_dir(&at).with_context(|| format!("remove {}", at.display()))?;
    done
}

/// Mounts a snapshot on a directory, where it stays.
///
/// # Errors
/// It cannot be mounted: this has to be root on the daemon's machine, and the directory must be there.
pub fn on(mounts: &[model::Mount], target: &Path) -> Result<()> {
    let mounts: Vec<mount::Mount> = mounts.iter().cloned().map(to_kernel).collect();
    Ok(mount::mount_all(&mounts, target)?)
}

/// Unmounts whatever is mounted on a directory; nothing is no error.
///
/// # Errors
/// It is in use.
pub fn off(target: &Path) -> Result<()> {
    Ok(mount::unmount_all(target, mount::Detach::No)?)
}

fn to_kernel(mount: model::Mount) -> mount::Mount {
    let model::Mount { kind, source, target, options } = mount;
    mount::Mount { kind, source, target, options }
}
