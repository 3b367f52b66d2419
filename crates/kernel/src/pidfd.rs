//! Processes by descriptor: no confusion when numbers are used again.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};

use crate::error::{Context, check};
use crate::{KernelError, Result};

/// Opens a descriptor of a process.
pub fn open(pid: i32) -> Result<OwnedFd> {
    let failed = |errno| KernelError::new("pidfd_open", pid.to_string(), errno);
    let number = Pid::from_raw(pid).ok_or_else(|| failed(Errno::SRCH))?;
    rustix::process::pidfd_open(number, PidfdFlags::empty()).map_err(failed)
}

/// Sends a signal, real-time ones too; 0 only asks whether the process is there.
pub fn kill(pidfd: impl AsFd, signal: i32) -> Result<()> {
    let raw = pidfd.as_fd().as_raw_fd();
    // SAFETY: plain integers and a null pointer, which stands for the default siginfo.
    let answer = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, raw, signal, std::ptr::null::<libc::siginfo_t>(), 0)
    };
    check(answer).map(drop).during("pidfd_send_signal", "")
}

/// Whether the process has ended, waiting for that at most `limit` (`None`: as long as it takes).
pub fn wait_end(pidfd: impl AsFd, limit: Option<Duration>) -> Result<bool> {
    let limit =
        limit.map(|limit| Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() });
    loop {
        let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut watched, limit.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).during("poll pidfd", ""),
        }
    }
}
