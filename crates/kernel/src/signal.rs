//! Signals: dispositions, masks, descriptors.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use crate::Result;
use crate::error::{Context, check};

/// Signal names and numbers without `SIG`, as Linux has them on x86 and ARM.
const NAMES: [(&str, i32); 36] = [
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("BUS", libc::SIGBUS),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("FPE", libc::SIGFPE),
    ("HUP", libc::SIGHUP),
    ("ILL", libc::SIGILL),
    ("INT", libc::SIGINT),
    ("IO", libc::SIGIO),
    ("IOT", libc::SIGABRT),
    ("KILL", libc::SIGKILL),
    ("PIPE", libc::SIGPIPE),
    ("POLL", libc::SIGIO),
    ("PROF", libc::SIGPROF),
    ("PWR", libc::SIGPWR),
    ("QUIT", libc::SIGQUIT),
    ("SEGV", libc::SIGSEGV),
    ("STKFLT", libc::SIGSTKFLT),
    ("STOP", libc::SIGSTOP),
    ("SYS", libc::SIGSYS),
    ("TERM", libc::SIGTERM),
    ("TRAP", libc::SIGTRAP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("UNUSED", libc::SIGSYS),
    ("URG", libc::SIGURG),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("VTALRM", libc::SIGVTALRM),
    ("WINCH", libc::SIGWINCH),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("EXIT", 0),
];

/// The number of a signal given as `TERM`, `SIGTERM`, `sigterm`, `RTMIN+3` or `15`.
pub fn number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=64).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(offset) = name.strip_prefix("RTMIN") {
        return real_time(34, offset);
    }
    if let Some(offset) = name.strip_prefix("RTMAX") {
        return real_time(64, offset);
    }
    NAMES.iter().find(|(known, _)| *known == name && *known != "EXIT").map(|(_, number)| *number)
}

fn real_time(from: i32, offset: &str) -> Option<i32> {
    let offset = if offset.is_empty() { 0 } else { offset.parse::<i32>().ok()? };
    Some(from + offset).filter(|number| (34..=64).contains(number))
}

/// The kernel's own struct sigaction, all zeroes: the default disposition.
#[repr(C)]
struct DefaultAction {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

/// Gives every signal its default disposition and unblocks all: what a new program expects to find.
pub fn reset() {
    let default = DefaultAction { handler: 0, flags: 0, restorer: 0, mask: 0 };
    for number in (1..=64).filter(|number| !matches!(*number, libc::SIGKILL | libc::SIGSTOP)) {
        let nothing = std::ptr::null_mut::<DefaultAction>();
        // SAFETY: a valid action that outlives the call and runs no code of ours. The C library would refuse the two
        // signals it keeps for itself, which a caller may have left ignored.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                &raw const default,
                nothing,
                size_of_val(&default.mask),
            )
        };
    }
    // SAFETY: an all-zero set is a valid, empty signal set; null asks for no old mask.
    unsafe {
        let empty: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut());
    }
}

/// Lets signals end the process with exit code 2 until it executes another program. The first process of a pid
/// namespace is deaf to every signal that it has no handler for (pid_namespaces(7)).
pub fn die_of(numbers: &[i32]) {
    extern "C" fn die(_: i32) {
        // SAFETY: _exit(2) is safe in a signal handler (signal-safety(7)).
        unsafe { libc::_exit(2) }
    }
    for number in numbers {
        // SAFETY: the handler calls nothing but _exit and keeps no state.
        unsafe { libc::signal(*number, die as extern "C" fn(i32) as libc::sighandler_t) };
    }
}

/// Ignores a signal for the whole process.
pub fn ignore(number: i32) {
    // SAFETY: ignoring runs no code of ours.
    unsafe { libc::signal(number, libc::SIG_IGN) };
}

/// Signals read from a descriptor instead of interrupting.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

impl SignalFd {
    /// Blocks the signals for the calling thread and opens a non-blocking descriptor for them.
    pub fn open(numbers: &[i32]) -> Result<Self> {
        // SAFETY: a zeroed set is valid and initialised by sigemptyset; pointers outlive the calls.
        let fd = unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for number in numbers {
                libc::sigaddset(&raw mut set, *number);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        check(fd.into()).during("signalfd", "")?;
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next pending signal.
    pub fn read(&self) -> Result<Option<i32>> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.fd, &mut record) {
            Ok(_) => Ok(Some(i32::from_ne_bytes([record[0], record[1], record[2], record[3]]))),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno).during("read signalfd", ""),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for SignalFd {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        for (text, expected) in [
            ("TERM", Some(15)),
            ("SIGKILL", Some(9)),
            ("sighup", Some(1)),
            ("9", Some(9)),
            ("RTMIN+3", Some(37)),
            ("SIGRTMAX-1", Some(63)),
            ("65", None),
            ("EXIT", None),
            ("NOPE", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
