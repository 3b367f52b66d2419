//! Where the contenders stand: state on a tmpfs, as `/run` is on a node, root on the disk, or on a new file system.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::{Client, Kind, Start};
use kernel::loopdev::{self, Attach};
use kernel::namespace::{self, Namespaces};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};

const RUN: &str = "/run";
/// Where the new file system is mounted: below a `/run` that nobody else sees.
const NEW: &str = "/run/new";
/// The size of the new file system in bytes.
const NEW_SIZE: u64 = 8 << 30;

/// Gives this process and its children a `/run` of their own. For a process with one thread.
pub fn own_run() -> Result<()> {
    namespace::unshare(Namespaces::MOUNT)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("make mounts private")?;
    mount("tmpfs", RUN, "tmpfs", MountFlags::empty(), None).context("mount a tmpfs on /run")
}

/// How every daemon is started.
pub fn start(kind: Kind, dist: PathBuf) -> Start {
    let state = Some(PathBuf::from(RUN));
    Start { kind, dist, client: Client::Ctr, log_level: "info", state, ..Start::new() }
}

/// An ext4 that nobody has written to: what others left on the disk or removed from it costs nobody anything there.
/// Its file has no name, so that it is gone with its last user.
pub struct NewDisk;

impl NewDisk {
    /// Makes it and mounts it. There is one at a time.
    pub fn mount() -> Result<Self> {
        let file = tempfile::NamedTempFile::new_in("/tmp").context("create a file for a file system")?;
        file.as_file().set_len(NEW_SIZE).context("give the file its size")?;
        // Nothing is put off: the kernel would do it later, while somebody is measured.
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-N", "200000", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
            .arg(file.path())
            .status()
            .context("run mkfs.ext4")?;
        ensure!(made.success(), "mkfs.ext4: {made}");
        let attach = Attach { file: file.path(), read_only: false, direct_io: false, auto_clear: true };
        let device = loopdev::attach(&attach).context("attach the file as a disk")?;
        std::fs::create_dir_all(NEW).with_context(|| format!("create {NEW}"))?;
        mount(&device.path, NEW, "ext4", MountFlags::empty(), None)
            .with_context(|| format!("mount {NEW}"))?;
        Ok(Self)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &'static Path {
        Path::new(NEW)
    }

    /// Its end.
    pub fn unmount(self) -> Result<()> {
        unmount(NEW, UnmountFlags::empty()).with_context(|| format!("unmount {NEW}"))
    }
}
