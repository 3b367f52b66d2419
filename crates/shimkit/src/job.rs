//! Work that may wait runs in a forked child, so that the loop never does.
//!
//! The child is a copy of the shim: it calls the embedded runtime or runs another one, writes what came out to a
//! pipe, closes it and exits. The loop collects the pipe and acts when it has ended with an output, or else when the
//! child is reaped: an exit may take long (see [`crate::rootfs::unmount`]). A child dies with the shim.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use kernel::process::{close_all_except, fork, install_fd, set_death_signal};
use kernel::trace;
use model::{Error, Kind, Result};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::stdio::open::{Ends, null};

/// What the work produced: bytes whose meaning is between the work and who started it.
pub type Output = Result<Vec<u8>>;

/// A child under way.
#[derive(Debug)]
pub struct Job {
    /// Its process.
    pub pid: i32,
    pipe: OwnedFd,
    written: Vec<u8>,
    begun: trace::Step,
}

/// How much a child has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// More may come.
    Part,
    /// All it will.
    All,
    /// It has closed the pipe without a word; its exit status may explain that.
    Nothing,
}

/// What a child is given beside its copy of memory.
#[derive(Debug, Default)]
pub struct Given<'a> {
    /// Its descriptors 0, 1 and 2; `/dev/null` if absent.
    pub ends: Option<&'a Ends>,
    /// One more descriptor that stays open.
    pub extra: Option<&'a OwnedFd>,
}

impl Job {
    /// Forks a child that does `work`.
    pub fn spawn(given: &Given<'_>, work: impl FnOnce() -> Output) -> Result<Self> {
        let begun = trace::begin();
        let (pipe, sink) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| Error::io("open", "pipe", e.into()))?;
        kernel::pty::set_blocking(&pipe, kernel::pty::Blocking::No)
            .map_err(|e| Error::unknown(e.to_string()))?;
        let shim = rustix::process::getpid().as_raw_nonzero().get();
        let child = fork(move || {
            kernel::signal::reset();
            // A hook or runtime that does not read what it is told is no reason to die.
            kernel::signal::ignore(libc::SIGPIPE);
            let settled = trace::during("job.settle", "", || settle(given, &sink, shim));
            let output = settled.and_then(|()| work());
            write_all(&sink, &encode(output));
            // Not left to the exit, which may wait for the disk.
            drop(sink);
            0
        });
        let child = child.map_err(|e| Error::unknown(e.to_string()))?;
        Ok(Self { pid: child.pid, pipe, written: Vec::new(), begun })
    }

    /// Ends the child and whatever it has started that stayed in its group.
    pub fn kill(&self) {
        // The group is there as soon as the child has settled; the child alone before.
        if kernel::process::kill(-self.pid, libc::SIGKILL).is_err() {
            crate::shim::signal(self.pid, libc::SIGKILL);
        }
    }

    /// Takes what the child has written so far; to be called when the pipe is readable.
    pub fn collect(&mut self) -> Said {
        let mut chunk = [0; 1024];
        loop {
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(0) if self.written.is_empty() => return Said::Nothing,
                Ok(0) => return Said::All,
                Ok(count) => self.written.extend_from_slice(&chunk[..count]),
                Err(Errno::INTR) => {}
                Err(_) => return Said::Part,
            }
        }
    }

    /// What the child produced, once it has said all or been reaped with `status`.
    pub fn finish(mut self, status: i32) -> Output {
        self.collect();
        self.begun.end("shim.job", "");
        decode(&self.written, status)
    }
}

impl AsFd for Job {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Makes the child's descriptors those it is to have, and no others. The container's first process is a copy of this
/// child for a while and must not hold the shim's sockets.
fn settle(given: &Given<'_>, sink: &OwnedFd, shim: i32) -> Result<()> {
    let failed = |e: kernel::KernelError| Error::unknown(e.to_string());
    // Work for a shim that has died by now would be done behind the back of whoever cleans up after it.
    set_death_signal(libc::SIGKILL, shim).map_err(failed)?;
    // A group of its own, so that what it started can be ended with it.
    rustix::process::setpgid(None, None).map_err(|e| Error::io("setpgid", "", e.into()))?;
    match given.ends {
        Some(ends) => install([&ends.stdin, &ends.stdout, &ends.stderr]),
        None => {
            let null = null()?;
            install([&null, &null, &null])
        }
    }
    .map_err(failed)?;
    let mut keep = kernel::cgroup::held();
    keep.push(sink.as_raw_fd());
    keep.extend(given.extra.map(AsRawFd::as_raw_fd));
    keep.extend(trace::held());
    close_all_except(&keep).map_err(failed)
}

fn install(ends: [&OwnedFd; 3]) -> kernel::Result<()> {
    (0..).zip(ends).try_for_each(|(number, fd)| install_fd(fd, number))
}

fn write_all(sink: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(sink, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            // The shim is gone; nobody is left to be told.
            Err(_) => return,
        }
    }
}

/// Kinds by their number on the pipe.
const KINDS: [Kind; 16] = [
    Kind::Unknown,
    Kind::Cancelled,
    Kind::InvalidArgument,
    Kind::DeadlineExceeded,
    Kind::NotFound,
    Kind::AlreadyExists,
    Kind::PermissionDenied,
    Kind::ResourceExhausted,
    Kind::FailedPrecondition,
    Kind::Aborted,
    Kind::OutOfRange,
    Kind::NotImplemented,
    Kind::Internal,
    Kind::Unavailable,
    Kind::DataLoss,
    Kind::Unauthenticated,
];

const DONE: u8 = 0xff;

fn encode(output: Output) -> Vec<u8> {
    match output {
        Ok(bytes) => [&[DONE][..], &bytes].concat(),
        Err(error) => {
            let kind = KINDS.iter().position(|kind| *kind == error.kind()).unwrap_or(0);
            [&[u8::try_from(kind).unwrap_or(0)][..], error.text().as_bytes()].concat()
        }
    }
}

fn decode(written: &[u8], status: i32) -> Output {
    match written.split_first() {
        Some((&DONE, bytes)) => Ok(bytes.to_vec()),
        Some((kind, text)) => {
            let kind = KINDS.get(usize::from(*kind)).copied().unwrap_or(Kind::Unknown);
            Err(Error::new(kind, String::from_utf8_lossy(text)))
        }
        None => Err(Error::internal(format!("the runtime ended with status {status} and no word"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_survive_the_pipe() {
        for bytes in [vec![], vec![0, DONE, 1]] {
            assert_eq!(decode(&encode(Ok(bytes.clone())), 0).ok(), Some(bytes));
        }
        for kind in KINDS {
            let error = decode(&encode(Err(Error::new(kind, "x: y"))), 0).expect_err("error");
            assert_eq!((error.kind(), error.text()), (kind, "x: y"));
        }
        assert_eq!(decode(&[], 137).expect_err("killed").kind(), Kind::Internal);
    }
}
