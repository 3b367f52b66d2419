//! Verbs on a container that exists: start, kill, delete, pause, resume, update.

use std::path::Path;

use oci::runtime::LinuxResources;

use crate::{Error, Result};

/// Whom a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The first process.
    Init,
    /// Every process of the container's control group.
    All,
}

/// How delete treats a container that still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Refuses.
    Stopped,
    /// Kills it first; an absent container is no error.
    Force,
}

/// Lets a created container run its program.
pub fn start(root: &Path, id: &str) -> Result<()> {
    Err(Error::unknown(format!("start {id} in {}: not yet", root.display())))
}

/// Sends a signal.
pub fn kill(root: &Path, id: &str, signal: i32, target: Target) -> Result<()> {
    Err(Error::unknown(format!("kill {id} in {}: {signal} {target:?} not yet", root.display())))
}

/// Removes a container: processes, control groups, state directory; then runs its poststop hooks.
pub fn delete(root: &Path, id: &str, deletion: Deletion) -> Result<()> {
    Err(Error::unknown(format!("delete {id} in {}: {deletion:?} not yet", root.display())))
}

/// Freezes every process.
pub fn pause(root: &Path, id: &str) -> Result<()> {
    Err(Error::unknown(format!("pause {id} in {}: not yet", root.display())))
}

/// Thaws every process.
pub fn resume(root: &Path, id: &str) -> Result<()> {
    Err(Error::unknown(format!("resume {id} in {}: not yet", root.display())))
}

/// Changes limits; absent fields keep theirs.
pub fn update(root: &Path, id: &str, resources: &LinuxResources) -> Result<()> {
    Err(Error::unknown(format!("update {id} in {}: {resources:?} not yet", root.display())))
}
