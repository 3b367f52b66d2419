//! Where the contenders stand: state on a tmpfs, as `/run` is on a node, root on the disk.

use std::path::PathBuf;

use anyhow::{Context, Result};
use e2e::{Client, Kind, Start};
use kernel::namespace::{self, Namespaces};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

const RUN: &str = "/run";

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
