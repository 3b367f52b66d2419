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

/// Raises the number of files that this process may have open as far as it may. The number from before; `None` when it
/// was the highest already.
pub fn raise_open_files() -> Result<Option<u64>> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(None);
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(Resource::Nofile, raised).during("setrlimit", "RLIMIT_NOFILE")?;
    Ok(limit.current)
}

/// Has a program start with another soft limit of open files than its parent's: what a process has raised for itself is
/// not meant for others, some of which close every number up to the limit.
pub fn start_with_open_files(command: &mut std::process::Command, soft: u64) {
    let set = move || {
        let limit = rustix::process::getrlimit(Resource::Nofile);
        Ok(rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(soft), ..limit })?)
    };
    // SAFETY: between fork and exec nothing happens but two system calls on plain numbers: no memory, no locks.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, set) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_raised_here_and_given_back_to_others() {
        let hard = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap();
        set_limit(0, limit_by_name("RLIMIT_NOFILE").unwrap(), 500, hard).unwrap();
        assert_eq!(raise_open_files().unwrap(), Some(500));
        assert_eq!(rustix::process::getrlimit(Resource::Nofile).current, Some(hard));
        assert_eq!(raise_open_files().unwrap(), None);
        let mut command = std::process::Command::new("/bin/sh");
        start_with_open_files(command.args(["-c", "ulimit -Sn; ulimit -Hn"]), 500);
        let printed = String::from_utf8(command.output().unwrap().stdout).unwrap();
        assert_eq!(printed, format!("500\n{hard}\n"));
    }
}
