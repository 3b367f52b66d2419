//! What has to be known of this machine, which is the daemon's too: capabilities, devices, its name.

use anyhow::{Context as _, Result, ensure};
use oci::runtime::LinuxDevice;
use rustix::fs::{FileType, major, minor};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Directories below `/dev` that belong to others: terminals, shared memory, queues, other runtimes.
const PRIVATE: [&str; 7] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];

/// The facts a spec needs. `devices` is asked for privileged containers only.
///
/// # Errors
/// `/proc` or `/dev` cannot be read.
pub fn facts(devices: bool) -> Result<spec::Host> {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let devices = devices.then(|| all_devices(Path::new("/dev"))).transpose()?;
    Ok(spec::Host { capabilities: capabilities()?, devices, hostname })
}

/// The names of this process' effective capabilities: what it has, it may hand on.
fn capabilities() -> Result<Vec<String>> {
    let mask = kernel::capability::current()?.effective;
    let names = kernel::capability::NAMES.iter().enumerate();
    Ok(names.filter(|(number, _)| mask & (1 << number) != 0).map(|(_, name)| (*name).to_owned()).collect())
}

/// All device nodes at and below a directory.
fn all_devices(directory: &Path) -> Result<Vec<LinuxDevice>> {
    let mut found = Vec::new();
    let read = || format!("read {}", directory.display());
    for entry in std::fs::read_dir(directory).with_context(read)? {
        let entry = entry.with_context(read)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(read)?);
        if kind.is_dir() && !PRIVATE.iter().any(|name| entry.file_name() == *name) {
            found.extend(all_devices(&path)?);
        } else if (kind.is_char_device() || kind.is_block_device()) && entry.file_name() != "console" {
            found.push(device(&path)?);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The device at a path, or all of a directory's.
///
/// # Errors
/// Nothing is there, or it is neither.
pub fn devices(path: &Path) -> Result<Vec<LinuxDevice>> {
    if path.is_dir() { all_devices(path) } else { Ok(vec![device(path)?]) }
}

fn device(path: &Path) -> Result<LinuxDevice> {
    let found = std::fs::metadata(path).with_context(|| format!("device {}", path.display()))?;
    let kind = FileType::from_raw_mode(found.mode());
    ensure!(
        matches!(kind, FileType::CharacterDevice | FileType::BlockDevice),
        "{} is neither a device nor a directory of devices",
        path.display()
    );
    Ok(LinuxDevice {
        path: path.display().to_string(),
        kind: if kind == FileType::BlockDevice { "b" } else { "c" }.into(),
        major: major(found.rdev()).into(),
        minor: minor(found.rdev()).into(),
        file_mode: Some(found.mode() & 0o7777),
        uid: Some(found.uid()),
        gid: Some(found.gid()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_this_machine() {
        let devices = facts(true).expect("facts").devices.expect("devices");
        let null = devices.iter().find(|d| d.path == "/dev/null").expect("null");
        assert_eq!((null.kind.as_str(), null.major, null.minor), ("c", 1, 3));
        assert!(!devices.iter().any(|d| d.path.starts_with("/dev/pts/") || d.path == "/dev/console"));
        assert_eq!(super::devices(Path::new("/dev/null")).expect("null"), std::slice::from_ref(null));
        let all = super::devices(Path::new("/dev")).expect("a directory");
        assert_eq!(all, devices);
        for none in ["/proc/self/status", "/dev/no-such"] {
            assert!(super::devices(Path::new(none)).is_err(), "{none}");
        }
    }

    #[test]
    fn capabilities_have_names() {
        let names = facts(false).expect("facts").capabilities;
        assert!(names.iter().all(|name| name.starts_with("CAP_")), "{names:?}");
    }
}
