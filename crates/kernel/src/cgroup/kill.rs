//! Signals to every process of a group.

use super::Cgroup;
use super::error::{Error, Result};
use super::host::Version;

/// See [`Cgroup::kill_all`].
pub(super) fn kill_all(group: &Cgroup, signal: i32) -> Result<()> {
    if group.version == Version::V2 && signal == libc::SIGKILL {
        let node = group.get("")?;
        match node.try_write("cgroup.kill", "1") {
            Ok(()) => return Ok(()),
            // Gone, or a kernel before 5.14.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !group.exists() => return Ok(()),
            Err(_) => {}
        }
    }
    let was_frozen = group.is_frozen()?;
    let frozen = was_frozen || group.exists() && group.freeze().is_ok();
    let sent = send_all(group, signal);
    if frozen && (!was_frozen || signal == libc::SIGKILL) {
        thaw(group)?;
    }
    sent
}

fn send_all(group: &Cgroup, signal: i32) -> Result<()> {
    group.pids()?.into_iter().try_for_each(|pid| send(pid, signal))
}

fn thaw(group: &Cgroup) -> Result<()> {
    match group.thaw() {
        Err(_) if !group.exists() => Ok(()),
        other => other,
    }
}

fn send(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill(2) takes two numbers and touches no memory of ours.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::ESRCH) => Ok(()),
        _ => Err(Error::io(format!("send signal {signal} to"), format!("/proc/{pid}"), error)),
    }
}
