//! Verbs on a container that exists: start, kill, delete, pause, resume, update.
//!
//! ```text
//! create --> created -- start --> running <-- resume/pause --> paused
//!               |                    |                           |
//!               +-----> stopped <----+---------------------------+ -- delete --> gone
//! ```

use std::path::Path;
use std::time::Duration;

use kernel::{Errno, file, pidfd, trace};
use oci::runtime::LinuxResources;

use crate::hooks::{Batch, Environment};
use crate::resources;
use crate::state::{Directory, Record, START, Status};
use crate::{Error, Kind, Result};

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

/// How long delete waits for a killed first process.
const DEATH: Duration = Duration::from_secs(10);

/// Lets a created container run its program.
///
/// The first process sleeps in a read of `exec.fifo`, which it holds open: so the fifo has a reader exactly while it
/// can be started, and one byte starts it. Cheap enough to be called from anywhere.
pub fn start(root: &Path, id: &str) -> Result<()> {
    let directory = Directory::new(root, id)?;
    let fifo = directory.fifo();
    match file::open_fifo_writer(&fifo) {
        Ok(writer) => {
            rustix::io::write(&writer, START)
                .map_err(|errno| Error::unknown(format!("write exec fifo: {}", kernel::strerror(errno))))?;
            std::fs::remove_file(&fifo).map_err(|error| crate::state::from_io("remove", &fifo, &error))
        }
        Err(error) if error.errno() == Errno::NXIO => {
            Err(Error::refused("cannot start a container that has stopped"))
        }
        Err(error) if error.errno() == Errno::NOENT => Err(match directory.read()?.status(&directory)? {
            Status::Stopped => Error::refused("cannot start a container that has stopped"),
            Status::Paused => Error::refused("cannot start a container in the paused state"),
            Status::Created | Status::Running => Error::refused("cannot start an already running container"),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Sends a signal.
pub fn kill(root: &Path, id: &str, signal: i32, target: Target) -> Result<()> {
    let record = Directory::new(root, id)?.read()?;
    if target == Target::All {
        return Ok(record.cgroup()?.kill_all(signal)?);
    }
    if signal == libc::SIGKILL && !record.has_own_pids() {
        // Others may have outlived the first process.
        return Ok(record.cgroup()?.kill_all(signal)?);
    }
    let not_running = || Error::new(Kind::NotFound, "container not running");
    let init = record.init()?.ok_or_else(not_running)?;
    match pidfd::kill(&init, signal) {
        Err(error) if error.errno() == Errno::SRCH => return Err(not_running()),
        other => other?,
    }
    if signal == libc::SIGKILL {
        thaw(&record)?;
    }
    Ok(())
}

/// Frozen processes of version 1 groups do not even die.
fn thaw(record: &Record) -> Result<()> {
    let cgroup = record.cgroup()?;
    if cgroup.is_frozen()? {
        cgroup.thaw()?;
    }
    Ok(())
}

/// Removes a container: processes, control groups, state directory; then runs its poststop hooks.
pub fn delete(root: &Path, id: &str, deletion: Deletion) -> Result<()> {
    let directory = Directory::new(root, id)?;
    let record = match directory.read() {
        Ok(record) => record,
        // A create that was cut off leaves a directory without a record.
        Err(error) if error.kind() == Kind::NotFound && deletion == Deletion::Force => {
            let removed = directory.remove_planned_cgroup();
            return directory.remove().and(removed);
        }
        Err(error) => return Err(error),
    };
    if let Some(init) = record.init()? {
        let status = record.status(&directory)?;
        if deletion == Deletion::Stopped && status != Status::Created {
            let text = format!("cannot delete container {id} that is not stopped: {}", status.word());
            return Err(Error::refused(text));
        }
        pidfd::kill(&init, libc::SIGKILL)
            .or_else(|error| if error.errno() == Errno::SRCH { Ok(()) } else { Err(error) })?;
        thaw(&record)?;
        if !pidfd::wait_end(&init, Some(DEATH))? {
            return Err(Error::unknown("container init still running"));
        }
    }
    destroy(&directory, &record).map_err(|error| error.during("unable to destroy container"))
}

fn destroy(directory: &Directory, record: &Record) -> Result<()> {
    let cgroup = record.cgroup()?;
    if !record.has_own_pids() {
        cgroup.kill_all(libc::SIGKILL)?;
    }
    trace::during("runtime.remove-cgroups", &record.id, || cgroup.remove())?;
    trace::during("runtime.remove-state", &record.id, || directory.remove())?;
    let (bundle, _) = record.labels();
    let batch = Batch {
        name: "poststop",
        hooks: &record.config.poststop,
        directory: Path::new(&bundle),
        environment: Environment::Runtime,
    };
    batch.run(&record.hook_state("stopped", 0))
}

/// Freezes every process.
pub fn pause(root: &Path, id: &str) -> Result<()> {
    let directory = Directory::new(root, id)?;
    let record = directory.read()?;
    match record.status(&directory)? {
        Status::Running | Status::Created => Ok(record.cgroup()?.freeze()?),
        Status::Paused | Status::Stopped => Err(Error::refused("container not running")),
    }
}

/// Thaws every process.
pub fn resume(root: &Path, id: &str) -> Result<()> {
    let directory = Directory::new(root, id)?;
    let record = directory.read()?;
    match record.status(&directory)? {
        Status::Paused => Ok(record.cgroup()?.thaw()?),
        _ => Err(Error::refused("container not paused")),
    }
}

/// Changes limits; absent fields keep theirs.
pub fn update(root: &Path, id: &str, wanted: &LinuxResources) -> Result<()> {
    let record = Directory::new(root, id)?.read()?;
    if record.init()?.is_none() {
        return Err(Error::new(Kind::NotFound, "container not running"));
    }
    Ok(record.cgroup()?.apply(&resources::for_update(wanted))?)
}
