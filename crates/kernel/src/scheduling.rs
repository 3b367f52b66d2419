//! Processor, I/O and memory placement of the calling process.

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::CpuSet;

use crate::Result;
use crate::error::{Context, check};

/// The argument of sched_setattr(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    size: u32,
    /// `SCHED_…`.
    pub policy: u32,
    /// `SCHED_FLAG_…`.
    pub flags: u64,
    /// Nice value.
    pub nice: i32,
    /// Static priority.
    pub priority: u32,
    /// Deadline budget in nanoseconds.
    pub runtime: u64,
    /// Deadline in nanoseconds.
    pub deadline: u64,
    /// Period in nanoseconds.
    pub period: u64,
}

/// Policies by name.
const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

/// Flags by name.
const FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// The policy called `name`.
pub fn policy(name: &str) -> Option<u32> {
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// The flag called `name`.
pub fn flag(name: &str) -> Option<u64> {
    FLAGS.iter().find(|(known, _)| *known == name).map(|(_, bits)| *bits)
}

/// Sets policy and parameters of the calling thread.
pub fn set(scheduling: &Scheduling) -> Result<()> {
    let scheduling = Scheduling { size: size_of::<Scheduling>() as u32, ..*scheduling };
    // SAFETY: a valid sched_attr of the size it names, which outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const scheduling, 0) };
    check(answer).map(drop).during("sched_setattr", "")
}

/// Sets the I/O class (1 real time, 2 best effort, 3 idle) and priority of the calling thread.
pub fn set_io_priority(class: u32, priority: u32) -> Result<()> {
    const PROCESS: libc::c_int = 1;
    // SAFETY: plain integers.
    let answer = unsafe { libc::syscall(libc::SYS_ioprio_set, PROCESS, 0, class << 13 | priority) };
    check(answer).map(drop).during("ioprio_set", "")
}

/// Sets the NUMA policy: mode with its flags, and a bit mask of nodes.
pub fn set_memory_policy(mode: i32, nodes: &[u64]) -> Result<()> {
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    // SAFETY: the mask has as many bits as said (the kernel takes one off) and outlives the call.
    let answer = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, nodes.as_ptr(), bits) };
    check(answer).map(drop).during("set_mempolicy", "")
}

/// Restricts a process (0: the caller) to the CPUs of a list such as `0-3,7`.
pub fn set_cpus(pid: i32, list: &str) -> Result<()> {
    let mut set = CpuSet::new();
    for cpu in parse_list(list).ok_or(Errno::INVAL).during("parse CPU list", list)? {
        if cpu >= CpuSet::MAX_CPU as u32 {
            return Err(Errno::INVAL).during("parse CPU list", list);
        }
        set.set(cpu as usize);
    }
    rustix::thread::sched_setaffinity(Pid::from_raw(pid), &set).during("sched_setaffinity", "")
}

/// The numbers of a list such as `0-3,7`.
pub fn parse_list(list: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        if last < first || last > 65_535 {
            return None;
        }
        numbers.extend(first..=last);
    }
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse_list("0-2,5"), Some(vec![0, 1, 2, 5]));
        for bad in ["", "a", "3-1", "1-", "0-99999999"] {
            assert_eq!(parse_list(bad), None, "{bad}");
        }
    }
}
