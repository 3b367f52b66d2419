//! Staying with a process: its terminal, its signals, its end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use kernel::process::{standard_stream, wait_any};
use kernel::pty::{self, Saved};
use kernel::signal::SignalFd;
use kernel::socket;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use super::Failure;
use crate::Console;

/// Signals passed on to the process.
const PASSED_ON: [i32; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
];

/// The master of a process's terminal, relayed to our own.
#[derive(Debug)]
pub(super) struct Terminal {
    master: OwnedFd,
    saved: Option<Saved>,
    /// Whether our standard input is still read.
    reading: bool,
}

/// What a process wants of its terminal, and whether we stay with it.
#[derive(Debug)]
pub(super) struct Wish {
    pub terminal: bool,
    pub detach: bool,
    /// Who else takes the terminal.
    pub listener: Option<PathBuf>,
}

impl Wish {
    /// Where the terminal goes, and if it stays with us the socket it will come through.
    ///
    /// A terminal needs somebody to hold it: a listener, or this process if it stays.
    pub fn console(self) -> Result<(Console, Option<OwnedFd>), Failure> {
        match (self.terminal, self.detach, self.listener) {
            (true, true, None) => {
                Err(Failure::new("cannot allocate tty if runc will detach without setting console socket"))
            }
            (true, true, Some(path)) => Ok((Console::Socket(path), None)),
            (true, false, None) => {
                let (ours, theirs) = socket::packet_pair()?;
                Ok((Console::Fd(theirs), Some(ours)))
            }
            (false, _, None) => Ok((Console::None, None)),
            (_, _, Some(_)) => {
                Err(Failure::new("cannot use console socket if runc will not detach or allocate tty"))
            }
        }
    }
}

impl Terminal {
    /// Takes the master from the socket, gives it our size and makes our own terminal raw.
    pub fn receive(from: Option<OwnedFd>) -> Result<Option<Self>, Failure> {
        let Some(from) = from else { return Ok(None) };
        let (_, descriptors) = socket::receive(&from, &mut [0; 4096])?;
        let master =
            descriptors.into_iter().next().ok_or_else(|| Failure::new("no terminal was received"))?;
        let input = standard_stream(0);
        let saved = if pty::is_terminal(input) { Some(pty::make_raw(input)?) } else { None };
        let terminal = Self { master, saved, reading: true };
        terminal.resize();
        Ok(Some(terminal))
    }

    /// Gives the process the size of our terminal, if we have one.
    fn resize(&self) {
        if let Ok((rows, columns)) = pty::size(standard_stream(0)) {
            // The process may be gone already.
            let _ = pty::set_size(&self.master, rows, columns);
        }
    }

    /// From our input to the process. At the end of ours the process reads an end of file, too.
    fn pass_input(&mut self) {
        let mut buffer = [0; 8192];
        match rustix::io::read(standard_stream(0), &mut buffer) {
            Ok(0) | Err(Errno::IO) => {
                self.reading = false;
                const END_OF_TRANSMISSION: [u8; 1] = [4];
                let _ = write_all(self.master.as_fd(), &END_OF_TRANSMISSION);
            }
            Ok(length) => self.reading = write_all(self.master.as_fd(), &buffer[..length]).is_ok(),
            Err(_) => {}
        }
    }

    /// From the process to our output; false when it has closed its side.
    fn pass_output(&self) -> bool {
        let mut buffer = [0; 8192];
        match rustix::io::read(&self.master, &mut buffer) {
            Ok(0) | Err(Errno::IO) => false,
            Ok(length) => write_all(standard_stream(1), &buffer[..length]).is_ok(),
            Err(_) => true,
        }
    }

    /// Passes on what the process wrote before it ended.
    fn finish(self) {
        while is_readable(self.master.as_fd(), Duration::ZERO) && self.pass_output() {}
        if let Some(saved) = &self.saved {
            // Nothing can be done about a terminal that is gone.
            let _ = saved.restore(standard_stream(0));
        }
    }
}

/// Signals held for the process that is about to start.
#[derive(Debug)]
pub(super) struct Watch {
    signals: SignalFd,
}

impl Watch {
    /// Holds signals from now on, so that none comes between the start of the process and [`Watch::wait`].
    pub fn begin() -> Result<Self, Failure> {
        let mut numbers = PASSED_ON.to_vec();
        numbers.extend([libc::SIGCHLD, libc::SIGWINCH]);
        Ok(Self { signals: SignalFd::open(&numbers)? })
    }

    /// Waits for the process, which must be a child, and returns its exit status. Other children are reaped on the way.
    pub fn wait(self, pid: i32, terminal: Option<Terminal>) -> Result<i32, Failure> {
        wait(&self.signals, pid, terminal)
    }
}

fn wait(signals: &SignalFd, pid: i32, mut terminal: Option<Terminal>) -> Result<i32, Failure> {
    let mut open = true;
    let status = loop {
        if let Some(status) = reap(pid)? {
            break status;
        }
        let (input, output) = {
            let relayed = terminal.as_ref().filter(|_| open);
            let input = relayed.filter(|t| t.reading).map(|_| standard_stream(0));
            poll(signals.as_fd(), input, relayed.map(|t| t.master.as_fd()))?
        };
        while let Some(number) = signals.read()? {
            match (number, &terminal) {
                (libc::SIGCHLD, _) => {}
                (libc::SIGWINCH, Some(terminal)) => terminal.resize(),
                // It may have ended meanwhile.
                _ => drop(kernel::process::kill(pid, number)),
            }
        }
        if let Some(terminal) = &mut terminal {
            if input {
                terminal.pass_input();
            }
            open = !output || terminal.pass_output();
        }
    };
    if let Some(terminal) = terminal {
        terminal.finish();
    }
    Ok(status)
}

fn reap(pid: i32) -> Result<Option<i32>, Failure> {
    while let Some(exit) = wait_any()? {
        if exit.pid == pid {
            return Ok(Some(exit.status));
        }
    }
    Ok(None)
}

/// Waits for signals, input or output; says whether there is input and output.
fn poll(
    signals: BorrowedFd<'_>,
    input: Option<BorrowedFd<'_>>,
    output: Option<BorrowedFd<'_>>,
) -> Result<(bool, bool), Failure> {
    let mut fds = vec![PollFd::from_borrowed_fd(signals, PollFlags::IN)];
    fds.extend([input, output].into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    match rustix::event::poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(Failure::new(format!("poll: {}", io::Error::from(e)))),
    }
    let mut ready = fds.iter().skip(1).map(|fd| !fd.revents().is_empty());
    let input = input.is_some() && ready.next().unwrap_or(false);
    Ok((input, output.is_some() && ready.next().unwrap_or(false)))
}

fn is_readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let timeout = Timespec::try_from(timeout).ok();
    matches!(rustix::event::poll(&mut fds, timeout.as_ref()), Ok(1..))
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
