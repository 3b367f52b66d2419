//! Resource limits by name.

use rustix::process::{Pid, Resource, Rlimit};

use crate::Result;
use crate::error::Context;

/// A resource limit of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    resource: Resource,
}

impl Limit {
    /// The kernel's number of the resource.
    pub fn number(self) -> u32 {
        self.resource as u32
    }
}

const NAMES: [(&str, Resource); 16] = [
    ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_FSIZE", Resource::Fsize),
    ("RLIMIT_DATA", Resource::Data),
    ("RLIMIT_STACK", Resource::Stack),
    ("RLIMIT_CORE", Resource::Core),
    ("RLIMIT_RSS", Resource::Rss),
    ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_NOFILE", Resource::Nofile),
    ("RLIMIT_MEMLOCK", Resource::Memlock),
    ("RLIMIT_AS", Resource::As),
    ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_SIGPENDING", Resource::Sigpending),
    ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice),
    ("RLIMIT_RTPRIO", Resource::Rtprio),
    ("RLIMIT_RTTIME", Resource::Rttime),
];

/// The limit called `name` (`RLIMIT_NOFILE`).
pub fn limit_by_name(name: &str) -> Option<Limit> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, resource)| Limit { resource: *resource })
}

/// Sets a limit of a process; `u64::MAX` is unlimited.
pub fn set_limit(pid: i32, limit: Limit, soft: u64, hard: u64) -> Result<()> {
    let value = |number: u64| (number != u64::MAX).then_some(number);
    let new = Rlimit { current: value(soft), maximum: value(hard) };
    rustix::process::prlimit(Pid::from_raw(pid), limit.resource, new).map(drop).during("prlimit", "")
}
