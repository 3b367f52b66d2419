//! A program that takes a process's output: `binary://` and `binary-v2://`; and for log files a copy of ourselves.
//!
//! A program gets the reading ends of the process's own pipes as descriptors 3 and 4, and as 5 a pipe on which it reports,
//! by a byte or by closing it, that it is ready.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use kernel::process::{close_all_except, fork, install_fd};
use model::{Error, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::pump::{Method, Pump, Waiting};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Its path.
    pub path: &'a Path,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Whether an end without a byte is a failure.
    pub must_report: bool,
}

/// Whose output it takes: all of its environment.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// `CONTAINER_NAMESPACE`.
    pub namespace: &'a str,
    /// `CONTAINER_ID`.
    pub id: &'a str,
}

/// A running logging program, our child.
#[derive(Debug)]
pub struct Logger {
    /// Its process.
    pub pid: i32,
    /// Readable once it is ready; taken when it was.
    pub ready: Option<OwnedFd>,
    must_report: bool,
}

/// What a logging program has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// Nothing yet.
    Pending,
    /// It is ready, or `binary` need not say so.
    Ready,
    /// It has ended without a word.
    Dead,
}

impl Program<'_> {
    /// Starts the program with the two reading ends.
    pub fn spawn(self, identity: Identity<'_>, [out, err]: [OwnedFd; 2]) -> Result<Logger> {
        self.check()?;
        let failed = |text: String| Error::unknown(format!("failed to start binary process: {text}"));
        let (ready, report) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)
            .map_err(|e| failed(Error::io("open", "pipe", e.into()).text().to_owned()))?;
        let child = fork(|| {
            kernel::signal::reset();
            match hand_over([&out, &err, &report]) {
                Ok(()) => run(self, identity),
                Err(_) => 126,
            }
        });
        let child = child.map_err(|e| failed(e.to_string()))?;
        Ok(Logger { pid: child.pid, ready: Some(ready), must_report: self.must_report })
    }

    /// Finds the plain mistakes here, where they can still be told.
    fn check(self) -> Result<()> {
        let errno = match std::fs::metadata(self.path) {
            Ok(found) if found.is_dir() || found.permissions().mode() & 0o111 == 0 => Errno::ACCESS,
            Ok(_) => return Ok(()),
            Err(e) => Errno::from_io_error(&e).unwrap_or(Errno::IO),
        };
        let (path, text) = (self.path.display(), kernel::strerror(errno));
        Err(Error::unknown(format!("failed to start binary process: fork/exec {path}: {text}")))
    }
}

/// Puts the descriptors at 3, 4 and 5 and closes all others. They are lifted first, out of each other's way.
fn hand_over(fds: [&OwnedFd; 3]) -> kernel::Result<()> {
    const LIFTED: i32 = 64;
    let lift = |fd: &OwnedFd| fcntl_dupfd_cloexec(fd, LIFTED);
    let lifted = fds.map(lift);
    for (number, fd) in (3..).zip(&lifted) {
        let fd = fd.as_ref().map_err(|e| kernel::KernelError::new("dup", "", *e))?;
        install_fd(fd, number)?;
    }
    // Nothing that closes itself may be left when all is closed.
    drop(lifted);
    close_all_except(&[3, 4, 5])
}

/// Moves everything to the end.
fn copy_all(mut pumps: Vec<Pump>) {
    while !pumps.is_empty() {
        let sources = pumps.iter().map(Pump::source);
        let mut watched: Vec<_> = sources.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        // A poll that is interrupted is a reason to look as well.
        let _ = poll(&mut watched, None);
        drop(watched);
        pumps.retain_mut(|pump| pump.run() != Waiting::Ended);
    }
}

/// Replaces the child; returns only when that fails.
fn run(program: Program<'_>, identity: Identity<'_>) -> i32 {
    let mut command = Command::new(program.path);
    command.args(program.arguments).env_clear();
    command.env("CONTAINER_ID", identity.id).env("CONTAINER_NAMESPACE", identity.namespace);
    drop(command.exec());
    127
}

impl Logger {
    /// A child that appends to files all that comes out of pipes, whose reading ends do not block, then ends. It costs a
    /// process, but a file on a disk that hangs holds up only those who write to it, not the shim with all the containers
    /// of its group.
    pub fn copying(files: Vec<(OwnedFd, OwnedFd)>) -> Result<Self> {
        let child = fork(move || {
            kernel::signal::reset();
            // Asked to end before the end of output, it would lose some.
            kernel::signal::ignore(libc::SIGTERM);
            let kept: Vec<_> = files.iter().flat_map(|(a, b)| [a.as_raw_fd(), b.as_raw_fd()]).collect();
            if close_all_except(&kept).is_err() {
                return 1;
            }
            let pumps = files.into_iter().map(|(source, sink)| Pump::new(source, sink, Method::Append));
            copy_all(pumps.collect());
            0
        });
        let child = child.map_err(|e| Error::unknown(e.to_string()))?;
        Ok(Self { pid: child.pid, ready: None, must_report: false })
    }

    /// Looks whether the program has said that it is ready.
    pub fn report(&mut self) -> Report {
        let Some(ready) = &self.ready else { return Report::Ready };
        let report = match rustix::io::read(ready, &mut [0]) {
            Ok(0) if self.must_report => Report::Dead,
            Ok(_) => Report::Ready,
            Err(Errno::AGAIN | Errno::INTR) => Report::Pending,
            Err(_) => Report::Dead,
        };
        if report != Report::Pending {
            self.ready = None;
        }
        report
    }

    /// The text for a program that did not get ready.
    pub fn dead() -> Error {
        Error::unknown("logging binary did not call ready (it may have crashed or exited prematurely)")
            .during("failed to create init process I/O")
    }
}
