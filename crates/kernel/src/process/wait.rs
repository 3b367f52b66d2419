//! Waiting for children and being told of deaths.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use crate::Result;
use crate::error::Context;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The child.
    pub pid: i32,
    /// Exit code, or 128 + signal.
    pub status: i32,
}

/// Reaps one child that has ended, if there is one; does not wait.
pub fn wait_any() -> Result<Option<Exit>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Ok(Some(exit(pid, status))),
        Ok(None) | Err(Errno::CHILD) => Ok(None),
        Err(errno) => Err(errno).during("wait", ""),
    }
}

/// Waits until that child has ended.
pub fn wait_pid(pid: i32) -> Result<Exit> {
    let pid = Pid::from_raw(pid).ok_or(Errno::CHILD).during("wait", "")?;
    let ended = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
    match ended.during("wait", "")? {
        Some((pid, status)) => Ok(exit(pid, status)),
        None => Err(Errno::CHILD).during("wait", ""),
    }
}

/// Makes the process the parent of its orphaned descendants.
pub fn set_subreaper() -> Result<()> {
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).during("prctl PR_SET_CHILD_SUBREAPER", "")
}

/// Has the kernel send `signal` to this process when its parent thread ends; 0 switches it off. Refuses when `parent`,
/// whose child the process was, has ended before: of that the kernel does not tell.
pub fn set_death_signal(signal: i32, parent: i32) -> Result<()> {
    let step = "prctl PR_SET_PDEATHSIG";
    rustix::process::set_parent_process_death_signal(Signal::from_named_raw(signal)).during(step, "")?;
    match rustix::process::getppid() == Pid::from_raw(parent) {
        true => Ok(()),
        false => Err(Errno::SRCH).during(step, ""),
    }
}

fn exit(pid: Pid, status: WaitStatus) -> Exit {
    let code = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
    Exit { pid: pid.as_raw_nonzero().get(), status: code.unwrap_or(255) }
}
