//! Capability names and the five sets of the calling thread.

use rustix::io::Errno;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

use crate::Result;
use crate::error::Context;

/// Names by number, as `capabilities(7)` has them.
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The five sets as bit masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sets {
    /// Upper limit for anything executed.
    pub bounding: u64,
    /// In force.
    pub effective: u64,
    /// Kept over exec of files that ask for them.
    pub inheritable: u64,
    /// May be put in force.
    pub permitted: u64,
    /// Kept over exec of any file.
    pub ambient: u64,
}

/// The bit mask of the names; unknown ones are left out.
pub fn mask<S: AsRef<str>>(names: &[S]) -> u64 {
    names.iter().filter_map(|name| number(name.as_ref())).fold(0, |mask, number| mask | 1 << number)
}

/// The number of a capability name.
pub fn number(name: &str) -> Option<u32> {
    NAMES.iter().position(|known| *known == name).map(|found| found as u32)
}

/// The number of capabilities this kernel knows.
pub fn count() -> u32 {
    let known = |number: u32| thread::capability_is_in_bounding_set(single(number)).is_ok();
    (0..64).take_while(|number| known(*number)).count() as u32
}

/// Permitted, effective and inheritable set of the calling thread.
pub fn current() -> Result<Sets> {
    let sets = thread::capabilities(None).during("capget", "")?;
    Ok(Sets {
        effective: sets.effective.bits(),
        permitted: sets.permitted.bits(),
        inheritable: sets.inheritable.bits(),
        ..Sets::default()
    })
}

/// Drops everything outside `keep` from the bounding set.
pub fn limit_bounding(keep: u64) -> Result<()> {
    for number in 0..64 {
        if keep & (1 << number) != 0 {
            continue;
        }
        match thread::remove_capability_from_bounding_set(single(number)) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(errno) => {
                return Err(errno)
                    .during("drop bounding capability", NAMES.get(number as usize).unwrap_or(&"?"));
            }
        }
    }
    Ok(())
}

/// Sets permitted, effective and inheritable set, then the ambient set.
///
/// Ambient capabilities that are not both permitted and inheritable are left out, as the kernel would refuse them.
pub fn apply(sets: &Sets) -> Result<()> {
    let held = thread::capabilities(None).during("capget", "")?;
    let permitted = CapabilitySet::from_bits_retain(sets.permitted & held.permitted.bits());
    let wanted = CapabilitySets {
        permitted,
        effective: CapabilitySet::from_bits_retain(sets.effective) & permitted,
        inheritable: CapabilitySet::from_bits_retain(sets.inheritable & held.permitted.bits()),
    };
    thread::set_capabilities(None, wanted).during("capset", "")?;
    let ambient = sets.ambient & wanted.permitted.bits() & wanted.inheritable.bits();
    match thread::clear_ambient_capability_set() {
        Ok(()) => {}
        Err(Errno::INVAL) => return Ok(()),
        Err(errno) => return Err(errno).during("clear ambient capabilities", ""),
    }
    for number in (0..64).filter(|number| ambient & (1 << number) != 0) {
        thread::configure_capability_in_ambient_set(single(number), true)
            .during("raise ambient capability", "")?;
    }
    Ok(())
}

/// The set with one member.
fn single(number: u32) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_kernels_numbers() {
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("CAP_CHECKPOINT_RESTORE"), Some(40));
        assert_eq!(mask(&["CAP_CHOWN", "sys_admin", "CAP_KILL"]), 1 | 1 << 5);
        assert!(count() >= 38);
    }
}
