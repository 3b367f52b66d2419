//! A program on a terminal of its own, as a person would have it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::program::{DEADLINE, Program, code_of, wait};

/// A running program, its terminal, and what it wrote so far.
#[derive(Debug)]
pub struct OnTerminal {
    child: Child,
    terminal: File,
    text: Receiver<Vec<u8>>,
    seen: String,
}

impl OnTerminal {
    /// Starts it on a terminal of so many columns and rows, which is all of its standard streams.
    pub fn start(program: Program, (columns, rows): (u16, u16)) -> Result<Self> {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::{Winsize, tcsetwinsize};
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname(&terminal, Vec::new())?.into_string()?;
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size)?;
        let inner: OwnedFd = File::options().read(true).write(true).open(name)?.into();
        let mut command = program.env("TERM", "xterm").into_command();
        command.stdin(Stdio::from(inner.try_clone()?)).stdout(Stdio::from(inner.try_clone()?));
        let child = command.stderr(Stdio::from(inner)).spawn().context("start on a terminal")?;
        // What was given to the child is to be closed here, or the terminal never ends.
        drop(command);
        let terminal = File::from(terminal);
        let mut from = terminal.try_clone()?;
        let (send, text) = channel();
        std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut part) {
                if send.send(part[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, terminal, text, seen: String::new() })
    }

    /// The program.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Reads until these words were seen, for [`DEADLINE`] at most.
    pub fn until(&mut self, words: &str) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        while !self.seen.contains(words) {
            match self.text.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(part) => self.seen.push_str(&String::from_utf8_lossy(&part)),
                Err(e) => {
                    let last: String = self.seen.chars().rev().take(1000).collect();
                    bail!("no {words:?} ({e}): …{:?}", last.chars().rev().collect::<String>())
                }
            }
        }
        Ok(())
    }

    /// Presses keys.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        Ok(self.terminal.write_all(keys.as_bytes())?)
    }

    /// Its exit code and everything it wrote.
    pub fn end(mut self) -> Result<(i32, String)> {
        let status = wait(&mut self.child, DEADLINE)?.context("it does not end")?;
        while let Ok(part) = self.text.recv_timeout(DEADLINE) {
            self.seen.push_str(&String::from_utf8_lossy(&part));
        }
        Ok((code_of(status), self.seen))
    }
}
