//! Processes: cloning, waiting, credentials, limits, executing a program.
//!
//! The functions that change "the process" change the calling thread's view where the kernel works by thread; they
//! are meant for the single-threaded child between clone and exec.

mod clone;
mod credentials;
mod exec;
mod limits;
mod wait;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use rustix::io::Errno;

pub use clone::{Child, Clone, fork, is_single_threaded};
pub use credentials::{
    Identity, clear_ids_for_user, join_session_keyring, keep_capabilities, set_no_new_privileges,
    set_undumpable,
};
pub use exec::{Program, exit_now, is_sealed, run_sealed, sealed};
pub use limits::{Limit, limit_by_name, raise_open_files, set_limit, start_with_open_files};
pub use wait::{Exit, set_death_signal, set_subreaper, wait_any, wait_pid};

use crate::error::{Context, check};
use crate::{KernelError, Result};

/// Starts a new session; the process loses its terminal.
pub fn new_session() -> Result<()> {
    rustix::process::setsid().map(drop).during("setsid", "")
}

/// Closes every descriptor from 3 on, except those in `keep`.
pub fn close_all_except(keep: &[RawFd]) -> Result<()> {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut first = 3;
    for fd in keep {
        if fd > first {
            close_range(first, fd - 1, 0)?;
        }
        first = fd + 1;
    }
    close_range(first, RawFd::MAX, 0)
}

/// Closes a descriptor whose owner is only a copy: for a child that never drops what it inherited.
pub fn close_inherited(fd: impl AsFd) -> Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    close_range(raw, raw, 0)
}

/// Marks every descriptor from `first` on to be closed by exec.
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    close_range(first, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// close_range(2), both ends included. Allocates nothing unless it fails.
pub(crate) fn close_range(first: RawFd, last: RawFd, flags: libc::c_uint) -> Result<()> {
    // SAFETY: plain integers; no descriptor owned by a live value is closed behind its back, because callers are
    // children about to exec, which never drop what they inherited.
    let answer =
        unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, last as libc::c_uint, flags) };
    check(answer).map(drop).during("close_range", "")
}

/// Makes `fd` known as `number` (0, 1 or 2), kept over exec.
pub fn install_fd(fd: impl AsFd, number: RawFd) -> Result<()> {
    let raw = fd.as_fd().as_raw_fd();
    if raw == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty()).during("fcntl", "");
    }
    // SAFETY: plain integers; replacing a standard stream is what is asked for.
    check(unsafe { libc::dup3(raw, number, 0) }.into()).map(drop).during("dup3", "")
}

/// A standard stream as a borrowed descriptor: 0, 1 or 2.
///
/// Standard streams are taken to be open for the life of the process, as the standard library takes them.
pub fn standard_stream(number: RawFd) -> BorrowedFd<'static> {
    assert!((0..=2).contains(&number), "only the three standard streams");
    // SAFETY: 0, 1 and 2 are open in every process of the project, or were replaced by install_fd.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Sets the execution domain, for instance `PER_LINUX32` (8).
pub fn set_personality(domain: u64) -> Result<()> {
    // SAFETY: plain integer.
    let answer = unsafe { libc::personality(domain as libc::c_ulong) };
    check(answer.into()).map(drop).during("personality", "")
}

/// Changes the working directory of the whole process. Only for children about to exec.
pub fn change_directory(path: &str) -> Result<()> {
    rustix::process::chdir(path).during("chdir", path)
}

/// Changes the working directory of the whole process to an open directory. Only for children about to exec.
pub fn change_directory_to(directory: impl AsFd) -> Result<()> {
    rustix::process::fchdir(directory).during("fchdir", "")
}

/// Sets the host name of the UTS namespace.
pub fn set_hostname(name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).during("sethostname", name)
}

/// Sets the NIS domain name of the UTS namespace.
pub fn set_domainname(name: &str) -> Result<()> {
    rustix::system::setdomainname(name.as_bytes()).during("setdomainname", name)
}

/// Sets the file mode creation mask and returns the old one.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Sends a signal to a process by number; prefer a pidfd where there is one.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: plain integers.
    let answer = unsafe { libc::kill(pid, signal) };
    check(answer.into()).map(drop).map_err(|errno| KernelError::new("kill", pid.to_string(), errno))
}

/// Whether a process of that number exists (also as a zombie).
pub fn exists(pid: i32) -> bool {
    !matches!(kill(pid, 0), Err(error) if error.errno() == Errno::SRCH)
}
