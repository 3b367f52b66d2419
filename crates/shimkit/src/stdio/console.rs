//! The way of a terminal's master from the runtime to the shim.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ::runtime::Console;
use model::{Error, Result};

use super::open::duplicate;
use crate::site::{Runtime, Site};

/// Where the terminal's master will arrive.
#[derive(Debug)]
pub enum ConsoleEnd {
    /// From the embedded runtime.
    Pair(OwnedFd),
    /// From another one, which connects to a path.
    Listener(UnixListener, PathBuf),
}

/// The runtime's end of the console.
#[derive(Debug)]
pub enum Theirs {
    /// No terminal is wanted.
    None,
    /// A connected socket.
    Pair(OwnedFd),
    /// A path to connect to.
    Path(PathBuf),
}

impl Theirs {
    /// The descriptor the runtime's child has to keep.
    pub fn fd(&self) -> Option<&OwnedFd> {
        match self {
            Self::Pair(fd) => Some(fd),
            Self::None | Self::Path(_) => None,
        }
    }

    /// What the runtime is told.
    pub fn console(&self) -> Result<Console> {
        Ok(match self {
            Self::None => Console::None,
            Self::Pair(fd) => Console::Fd(duplicate(fd)?),
            Self::Path(path) => Console::Socket(path.clone()),
        })
    }
}

/// Numbers the sockets of consoles.
static CONSOLES: AtomicU32 = AtomicU32::new(0);

/// Both ends of a way for a new terminal's master.
pub fn pair(site: &Site) -> Result<(ConsoleEnd, Theirs)> {
    let failed = |text: String| Error::unknown(format!("failed to create console socket: {text}"));
    if site.runtime == Runtime::Embedded {
        let (ours, theirs) = kernel::socket::packet_pair().map_err(|e| failed(e.to_string()))?;
        kernel::pty::set_blocking(&ours, kernel::pty::Blocking::No).map_err(|e| failed(e.to_string()))?;
        return Ok((ConsoleEnd::Pair(ours), Theirs::Pair(theirs)));
    }
    // The bundle's path is too long for a socket's.
    let number = CONSOLES.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("gantry-pty-{}-{number}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(|e| failed(e.to_string()))?;
    listener.set_nonblocking(true).map_err(|e| failed(e.to_string()))?;
    Ok((ConsoleEnd::Listener(listener, path.clone()), Theirs::Path(path)))
}

impl ConsoleEnd {
    /// The master, which the runtime has sent before it ended.
    pub fn receive(&self) -> Result<OwnedFd> {
        let failed = |text: String| Error::unknown(format!("failed to retrieve console master: {text}"));
        // The name of the terminal comes with the descriptor; 4096 bytes is all a runtime sends.
        let mut name = [0; 4096];
        let received = match self {
            Self::Pair(socket) => kernel::socket::receive(socket, &mut name),
            Self::Listener(listener, _) => {
                let (socket, _) = listener.accept().map_err(|e| failed(e.to_string()))?;
                kernel::socket::receive(&socket, &mut name)
            }
        };
        let (_, fds) = received.map_err(|e| failed(e.to_string()))?;
        fds.into_iter().next().ok_or_else(|| failed("no descriptor came".to_owned()))
    }
}

impl Drop for ConsoleEnd {
    fn drop(&mut self) {
        if let Self::Listener(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}
