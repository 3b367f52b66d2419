//! Loading system call filters.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

use crate::Result;
use crate::error::{Context, check};

/// One instruction of a filter: size in bytes.
const INSTRUCTION: usize = size_of::<libc::sock_filter>();

/// Loads a filter for the calling thread. `filter` is an array of `struct sock_filter` in the machine's byte order.
///
/// `flags` are `SECCOMP_FILTER_FLAG_…`; with `NEW_LISTENER` the notification descriptor is returned.
pub fn load(filter: &[u8], flags: u32) -> Result<Option<OwnedFd>> {
    let (whole, rest) = filter.as_chunks::<INSTRUCTION>();
    if whole.is_empty() || !rest.is_empty() {
        return Err(Errno::INVAL).during("load seccomp filter", "");
    }
    let mut code: Vec<libc::sock_filter> = whole.iter().map(instruction).collect();
    let length = u16::try_from(code.len()).map_err(|_| Errno::TOOBIG).during("load seccomp filter", "")?;
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    // SAFETY: `program` points to `length` instructions that outlive the call; the kernel checks and copies them.
    let answer =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    let answer = check(answer).during("load seccomp filter", "")?;
    if flags & libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as u32 == 0 {
        return Ok(None);
    }
    // SAFETY: with this flag the answer is a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(answer as RawFd) }))
}

/// Whether the kernel has an action (`SECCOMP_RET_…`).
pub fn has_action(action: u32) -> bool {
    const GET_ACTION_AVAIL: u32 = 2;
    // SAFETY: the kernel reads one u32 that outlives the call.
    unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// Whether the kernel knows a filter flag: with a bad pointer a known flag fails with `EFAULT`, an unknown one with
/// `EINVAL`.
pub fn has_flag(flag: u32) -> bool {
    let nowhere = std::ptr::null::<libc::sock_fprog>();
    // SAFETY: the kernel refuses the null pointer; nothing is loaded.
    let answer = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flag, nowhere) };
    check(answer) == Err(Errno::FAULT)
}

fn instruction(bytes: &[u8; INSTRUCTION]) -> libc::sock_filter {
    libc::sock_filter {
        code: u16::from_ne_bytes([bytes[0], bytes[1]]),
        jt: bytes[2],
        jf: bytes[3],
        k: u32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    }
}
