//! From the runtime's privileges to those of the user's process: limits, capabilities, user, filter.
//!
//! The order matters. A filter is loaded while that is still allowed: with `no_new_privs` as late as possible, so that
//! few calls of ours have to pass it; without, before the capabilities go. The user changes between the bounding set
//! and the other capability sets. The working directory is entered before the user changes, or after where only the
//! user may; then it must be inside the container, whatever descriptor of the host a path may have named.

use std::os::fd::{AsRawFd, BorrowedFd};

use kernel::capability::{self, Sets};
use kernel::cgroup::Entry;
use kernel::process::{Identity, Program, keep_capabilities, set_limit, standard_stream};
use kernel::scheduling::{self, Scheduling};
use kernel::{Errno, process};
use oci::runtime::{LinuxCapabilities, LinuxScheduler, PosixRlimit, Process};

use crate::program;
use crate::sync::{Channel, Message};
use crate::{Error, Result};

/// A filter ready to load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter<'a> {
    /// `struct sock_filter` in memory.
    pub code: &'a [u8],
    /// `SECCOMP_FILTER_FLAG_…`.
    pub flags: u32,
}

/// What a process is to become.
#[derive(Debug)]
pub(crate) struct Settings<'a> {
    pub process: &'a Process,
    pub filter: Option<Filter<'a>>,
    /// Whether the process is in a user namespace, where it may not raise limits itself.
    pub user_namespace: bool,
    /// Receives the filter's listener.
    pub channel: &'a Channel,
}

impl Settings<'_> {
    /// Gives up privileges and finds the program. Whatever is done afterwards runs with the user's rights.
    pub fn take_on(&self) -> Result<Program> {
        self.limit()?;
        set_scheduling(self.process)?;
        if self.process.no_new_privileges {
            process::set_no_new_privileges()?;
        } else {
            self.load_filter()?;
        }
        let environment = program::environment(&self.process.env, self.process.user.uid)?;
        let sets = self.process.capabilities.as_ref().map(sets);
        if let Some(sets) = &sets {
            capability::limit_bounding(sets.bounding)
                .map_err(|e| during("unable to apply bounding set", e))?;
            keep_capabilities(Some(())).map_err(|e| during("unable to set keep caps", e))?;
        }
        let entered = enter_directory(&self.process.cwd, Attempt::First)?;
        self.change_user()?;
        if !entered {
            enter_directory(&self.process.cwd, Attempt::Last)?;
        }
        if let Some(sets) = &sets {
            keep_capabilities(None).map_err(|e| during("unable to clear keep caps", e))?;
            capability::apply(sets).map_err(|e| during("unable to apply caps", e))?;
        }
        check_directory()?;
        let program = program::find(&self.process.args, &environment)?;
        if self.process.no_new_privileges {
            self.load_filter()?;
        }
        Ok(program)
    }

    /// Limits come late, because few descriptors may be too few for the work before.
    fn limit(&self) -> Result<()> {
        if self.process.rlimits.is_empty() {
            return Ok(());
        }
        if self.user_namespace {
            self.channel.send(&Message::Limits)?;
            return self.channel.wait_go();
        }
        set_limits(0, &self.process.rlimits)
    }

    fn change_user(&self) -> Result<()> {
        let user = &self.process.user;
        own_standard_streams(user.uid)?;
        let identity = Identity { uid: user.uid, gid: user.gid, groups: &user.additional_gids };
        identity.take_on().map_err(|e| during("unable to setup user", e))?;
        process::set_umask(user.umask.unwrap_or(0o022));
        Ok(())
    }

    fn load_filter(&self) -> Result<()> {
        let Some(filter) = self.filter else { return Ok(()) };
        let listener = kernel::seccomp::load(filter.code, filter.flags)
            .map_err(|e| during("unable to init seccomp", e))?;
        if let Some(listener) = listener {
            self.channel.send(&Message::Listener(listener.as_raw_fd()))?;
            self.channel.wait_go()?;
        }
        Ok(())
    }
}

/// Sets the resource limits of a process (0: the caller).
pub(crate) fn set_limits(pid: i32, limits: &[PosixRlimit]) -> Result<()> {
    for limit in limits {
        let known = kernel::process::limit_by_name(&limit.kind)
            .ok_or_else(|| Error::invalid(format!("invalid rlimit type: {}", limit.kind)))?;
        set_limit(pid, known, limit.soft, limit.hard).map_err(|error| {
            let text = format!("error setting rlimit type {}: {}", known.number(), error.text());
            Error::unknown(text).during("error setting rlimits for ready process")
        })?;
    }
    Ok(())
}

fn set_scheduling(process: &Process) -> Result<()> {
    if let Some(scheduler) = &process.scheduler {
        let attributes = attributes(scheduler)?;
        scheduling::set(&attributes)
            .map_err(|e| Error::unknown(format!("error setting scheduler: {}", e.text())))?;
    }
    if let Some(priority) = &process.io_priority {
        let class = match priority.class.as_str() {
            "IOPRIO_CLASS_RT" => 1,
            "IOPRIO_CLASS_BE" | "" => 2,
            "IOPRIO_CLASS_IDLE" => 3,
            other => return Err(Error::invalid(format!("invalid io priority class: {other}"))),
        };
        let level = u32::try_from(priority.priority).ok().filter(|level| *level < 8);
        let level =
            level.ok_or_else(|| Error::invalid(format!("invalid io priority: {}", priority.priority)))?;
        scheduling::set_io_priority(class, level)
            .map_err(|e| Error::unknown(format!("failed to set io priority: {}", e.text())))?;
    }
    Ok(())
}

fn attributes(scheduler: &LinuxScheduler) -> Result<Scheduling> {
    let invalid = |text: String| Error::invalid(text);
    let policy = scheduling::policy(&scheduler.policy)
        .ok_or_else(|| invalid(format!("invalid scheduler policy: {}", scheduler.policy)))?;
    let mut attributes = Scheduling::default();
    attributes.policy = policy;
    attributes.nice = scheduler.nice;
    for name in &scheduler.flags {
        let flag =
            scheduling::flag(name).ok_or_else(|| invalid(format!("invalid scheduler flag: {name}")))?;
        attributes.flags |= flag;
    }
    attributes.priority = u32::try_from(scheduler.priority)
        .map_err(|_| invalid(format!("invalid scheduler priority: {}", scheduler.priority)))?;
    attributes.runtime = scheduler.runtime;
    attributes.deadline = scheduler.deadline;
    attributes.period = scheduler.period;
    Ok(attributes)
}

fn sets(names: &LinuxCapabilities) -> Sets {
    Sets {
        bounding: capability::mask(&names.bounding),
        effective: capability::mask(&names.effective),
        inheritable: capability::mask(&names.inheritable),
        permitted: capability::mask(&names.permitted),
        ambient: capability::mask(&names.ambient),
    }
}

/// Lets the user open `/dev/stdout` and its like again: the streams become his. The group stays, it may be `tty`'s.
fn own_standard_streams(uid: u32) -> Result<()> {
    let null = rustix::fs::makedev(1, 3);
    for number in 0..=2 {
        let stream: BorrowedFd<'_> = standard_stream(number);
        let Ok(found) = rustix::fs::fstat(stream) else { continue };
        if found.st_uid == uid || found.st_rdev == null {
            continue;
        }
        match rustix::fs::fchown(stream, Some(rustix::fs::Uid::from_raw(uid)), None) {
            // Ids that have no name here, or streams of a read-only file system, stay as they are.
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS) => {}
            Err(errno) => {
                return Err(Error::unknown(kernel::strerror(errno)).during("unable to setup user: fchown"));
            }
        }
    }
    Ok(())
}

/// Which try it is to enter the working directory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Before the user changes; missing rights are no error yet.
    First,
    Last,
}

fn enter_directory(path: &str, attempt: Attempt) -> Result<bool> {
    match process::change_directory(path) {
        Ok(()) => Ok(true),
        Err(error) if attempt == Attempt::First && matches!(error.errno(), Errno::ACCESS | Errno::PERM) => {
            Ok(false)
        }
        Err(error) => {
            let text = format!("chdir to cwd ({path:?}) set in config.json failed: {}", error.text());
            Err(Error::unknown(text))
        }
    }
}

/// Refuses a working directory outside of the container's mounts (CVE-2024-21626).
fn check_directory() -> Result<()> {
    let inside = rustix::process::getcwd(Vec::new()).is_ok_and(|path| path.as_bytes().starts_with(b"/"));
    if inside {
        return Ok(());
    }
    Err(Error::unknown(
        "current working directory is outside of container mount namespace root -- possible container breakout detected",
    ))
}

/// Moves the calling process into the groups of an entry it was not cloned into.
pub(crate) fn enter_group(entry: &Entry) -> Result<()> {
    entry.enter().map_err(|error| {
        let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
        Error::unknown(format!(
            "unable to apply cgroup configuration: write tasks: {}",
            kernel::strerror(errno)
        ))
    })
}

fn during(step: &str, error: kernel::KernelError) -> Error {
    Error::from(error).during(step)
}
