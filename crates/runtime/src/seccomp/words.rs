//! The words of a profile and their numbers (linux/seccomp.h, linux/audit.h).

use oci::runtime::LinuxSeccomp;

use crate::{Error, Result};

/// Actions a profile may name.
pub const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

/// Operators a profile may name.
pub const OPERATORS: [&str; 7] = [
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_LE",
    "SCMP_CMP_LT",
    "SCMP_CMP_MASKED_EQ",
    "SCMP_CMP_NE",
];

/// Architectures a profile may name; those of other machines are skipped.
pub const ARCHITECTURES: [&str; 23] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

/// Flags a profile may name.
pub const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

// What a filter answers (SECCOMP_RET_…).
pub(super) const KILL_THREAD: u32 = 0;
const KILL_PROCESS: u32 = 0x8000_0000;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
pub(super) const NOTIFY: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
pub(super) const LOG: u32 = 0x7ffc_0000;
pub(super) const ALLOW: u32 = 0x7fff_0000;
/// The answer to a call the kernel does not have.
pub(super) const NO_SUCH_CALL: u32 = ERRNO | libc::ENOSYS.unsigned_abs();
/// The part of an answer that says what happens.
const WHAT: u32 = 0xffff_0000;

// How a filter is loaded (SECCOMP_FILTER_FLAG_…).
const TSYNC: u32 = 1;
const LOGGED: u32 = 1 << 1;
const SPEC_ALLOW: u32 = 1 << 2;
pub(super) const NEW_LISTENER: u32 = 1 << 3;
const TSYNC_ESRCH: u32 = 1 << 4;
const WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// An architecture whose calls this crate can filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Architecture {
    X86_64,
    X86,
    X32,
    Aarch64,
    Arm,
}

impl Architecture {
    /// The kernel's number of it (AUDIT_ARCH_…). x32 is told from x86_64 by the call's number alone.
    pub fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Its column in the table of calls.
    pub fn column(self) -> usize {
        match self {
            Self::X86_64 => 0,
            Self::X86 => 1,
            Self::X32 => 2,
            Self::Aarch64 => 3,
            Self::Arm => 4,
        }
    }

    /// Whether all 64 bits of an argument count. x32 programs pass numbers of 32 bits and leave rubbish above them.
    pub fn is_wide(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }
}

/// The machine a filter is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    X86_64,
    Aarch64,
}

impl Native {
    /// This machine.
    pub const THIS: Self = if cfg!(target_arch = "aarch64") { Self::Aarch64 } else { Self::X86_64 };

    /// Its own architecture.
    pub fn own(self) -> Architecture {
        match self {
            Self::X86_64 => Architecture::X86_64,
            Self::Aarch64 => Architecture::Aarch64,
        }
    }

    /// An architecture by name; `None` if this machine cannot run its programs.
    pub fn architecture(self, name: &str) -> Result<Option<Architecture>> {
        Ok(match (name, self) {
            ("SCMP_ARCH_X86_64", Self::X86_64) => Some(Architecture::X86_64),
            ("SCMP_ARCH_X86", Self::X86_64) => Some(Architecture::X86),
            ("SCMP_ARCH_X32", Self::X86_64) => Some(Architecture::X32),
            ("SCMP_ARCH_AARCH64", Self::Aarch64) => Some(Architecture::Aarch64),
            ("SCMP_ARCH_ARM", Self::Aarch64) => Some(Architecture::Arm),
            (known, _) if ARCHITECTURES.contains(&known) => None,
            _ => return Err(Error::invalid(format!("string {name} is not a valid arch for seccomp"))),
        })
    }
}

/// The answer of an action; `errno` is for those that take one.
pub(super) fn action(name: &str, errno: Option<u32>) -> Result<u32> {
    let data = errno.unwrap_or(libc::EPERM.unsigned_abs()) & !WHAT;
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => KILL_PROCESS,
        "SCMP_ACT_TRAP" => TRAP,
        "SCMP_ACT_ERRNO" => ERRNO | data,
        "SCMP_ACT_TRACE" => TRACE | data,
        "SCMP_ACT_ALLOW" => ALLOW,
        "SCMP_ACT_LOG" => LOG,
        "SCMP_ACT_NOTIFY" => NOTIFY,
        _ => return Err(Error::invalid(format!("string {name} is not a valid action for seccomp"))),
    })
}

/// Whether calls the profile's author could not know may get this answer.
pub(super) fn suits_the_unknown(answer: u32) -> bool {
    matches!(answer & WHAT, ALLOW | LOG | TRACE)
}

/// How a value is compared, in the order rules are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operator {
    NotEqual,
    MaskedEqual,
    Equal,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
}

/// An operator by name.
pub(super) fn operator(name: &str) -> Result<Operator> {
    Ok(match name {
        "SCMP_CMP_NE" => Operator::NotEqual,
        "SCMP_CMP_LT" => Operator::Less,
        "SCMP_CMP_LE" => Operator::LessOrEqual,
        "SCMP_CMP_EQ" => Operator::Equal,
        "SCMP_CMP_GE" => Operator::GreaterOrEqual,
        "SCMP_CMP_GT" => Operator::Greater,
        "SCMP_CMP_MASKED_EQ" => Operator::MaskedEqual,
        _ => return Err(Error::invalid(format!("string {name} is not a valid operator for seccomp"))),
    })
}

/// How to load the filter. Without a word about it speculation stays allowed, as runc has it.
pub(super) fn flags(profile: &LinuxSeccomp, notifies: bool) -> Result<u32> {
    let mut flags = if profile.flags.is_empty() { SPEC_ALLOW } else { 0 };
    for name in &profile.flags {
        flags |= match name.as_str() {
            "SECCOMP_FILTER_FLAG_TSYNC" => TSYNC,
            "SECCOMP_FILTER_FLAG_LOG" => LOGGED,
            "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => SPEC_ALLOW,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" if notifies => WAIT_KILLABLE_RECV,
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => 0,
            _ => return Err(Error::invalid(format!("seccomp flag {name:?} is not supported"))),
        };
    }
    if notifies {
        flags |= NEW_LISTENER;
        if flags & TSYNC != 0 {
            // Both return a number of their own; with this flag the thread's comes as an error instead.
            flags |= TSYNC_ESRCH;
        }
    }
    Ok(flags)
}
