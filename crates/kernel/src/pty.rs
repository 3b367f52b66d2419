//! Pseudo terminals and terminal settings.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pty::OpenptFlags;
use rustix::termios::{OptionalActions, Termios, Winsize};

use crate::Result;
use crate::error::Context;

/// A pseudo terminal.
#[derive(Debug)]
pub struct Pty {
    /// The side of the terminal emulator.
    pub master: OwnedFd,
    /// The side of the programs.
    pub slave: OwnedFd,
}

impl Pty {
    /// Opens a new pair of the caller's `/dev/pts`.
    pub fn open() -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        Self::from_master(rustix::pty::openpt(flags).during("open", "/dev/ptmx")?)
    }

    /// Opens the slave that belongs to a freshly opened `ptmx`, without a path.
    pub fn from_master(master: OwnedFd) -> Result<Self> {
        rustix::pty::unlockpt(&master).during("unlockpt", "")?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).during("open pty slave", "")?;
        Ok(Self { master, slave })
    }

    /// The slave's path in its devpts, `/dev/pts/0`.
    pub fn slave_name(&self) -> Result<CString> {
        rustix::pty::ptsname(&self.master, Vec::new()).during("ptsname", "")
    }
}

/// Sets the size in characters.
pub fn set_size(terminal: impl AsFd, rows: u16, columns: u16) -> Result<()> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).during("set window size", "")
}

/// Rows and columns.
pub fn size(terminal: impl AsFd) -> Result<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(terminal).during("get window size", "")?;
    Ok((size.ws_row, size.ws_col))
}

/// Makes the terminal the controlling one of the calling session leader.
pub fn set_controlling(terminal: impl AsFd) -> Result<()> {
    rustix::process::ioctl_tiocsctty(terminal).during("ioctl TIOCSCTTY", "")
}

/// Settings of a terminal before it was made raw.
#[derive(Debug)]
pub struct Saved {
    settings: Termios,
}

/// Makes a terminal raw: every byte passes, nothing is echoed. The result restores it.
pub fn make_raw(terminal: impl AsFd) -> Result<Saved> {
    let settings = rustix::termios::tcgetattr(&terminal).during("tcgetattr", "")?;
    let mut raw = settings.clone();
    raw.make_raw();
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &raw).during("tcsetattr", "")?;
    Ok(Saved { settings })
}

impl Saved {
    /// Restores the settings.
    pub fn restore(&self, terminal: impl AsFd) -> Result<()> {
        rustix::termios::tcsetattr(terminal, OptionalActions::Now, &self.settings).during("tcsetattr", "")
    }
}

/// Turns off the translation of newlines on output, so that what programs write arrives unchanged.
pub fn clear_newline_translation(terminal: impl AsFd) -> Result<()> {
    let mut settings = rustix::termios::tcgetattr(&terminal).during("tcgetattr", "")?;
    settings.output_modes.remove(rustix::termios::OutputModes::ONLCR);
    rustix::termios::tcsetattr(&terminal, OptionalActions::Now, &settings).during("tcsetattr", "")
}

/// Whether the descriptor is a terminal.
pub fn is_terminal(fd: impl AsFd) -> bool {
    rustix::termios::isatty(fd)
}

/// Takes `O_NONBLOCK` on or off a descriptor's open file.
pub fn set_blocking(fd: impl AsFd, blocking: Blocking) -> Result<()> {
    let mut flags = rustix::fs::fcntl_getfl(&fd).during("fcntl", "")?;
    flags.set(OFlags::NONBLOCK, blocking == Blocking::No);
    match rustix::fs::fcntl_setfl(&fd, flags) {
        Err(Errno::PERM) | Ok(()) => Ok(()),
        Err(errno) => Err(errno).during("fcntl", ""),
    }
}

/// Whether reads and writes wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// They wait.
    Yes,
    /// They fail with `EAGAIN`.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_talks_and_has_a_size() {
        let pty = Pty::open().unwrap();
        set_size(&pty.master, 24, 80).unwrap();
        assert_eq!(size(&pty.slave).unwrap(), (24, 80));
        let saved = make_raw(&pty.slave).unwrap();
        rustix::io::write(&pty.slave, b"hi\n").unwrap();
        let mut buffer = [0; 8];
        let length = rustix::io::read(&pty.master, &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"hi\n");
        saved.restore(&pty.slave).unwrap();
        assert!(pty.slave_name().unwrap().to_bytes().starts_with(b"/dev/pts/"));
    }
}
