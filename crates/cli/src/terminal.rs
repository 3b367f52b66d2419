//! The user's terminal: raw while a program in a container has it, and back to what it was.

use anyhow::{Context as _, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, Read, stdin};
use std::os::fd::AsFd;

/// Standard input in raw mode, until dropped.
pub struct Raw(Termios);

/// Puts standard input into raw mode.
///
/// # Errors
/// Standard input is no terminal.
pub fn raw() -> Result<Raw> {
    anyhow::ensure!(stdin().is_terminal(), "the terminal flag (-t) needs a terminal on standard input");
    let before = tcgetattr(stdin()).context("read the terminal's mode")?;
    let mut mode = before.clone();
    mode.make_raw();
    tcsetattr(stdin(), OptionalActions::Now, &mode).context("set the terminal's mode")?;
    Ok(Raw(before))
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Err(e) = tcsetattr(stdin(), OptionalActions::Now, &self.0) {
            eprintln!("gantry: the terminal's mode could not be put back: {e}; `reset` does it");
        }
    }
}

/// The terminal's size as columns and rows, if standard input is one.
pub fn size() -> Option<(u16, u16)> {
    size_of(stdin())
}

/// The size of the terminal behind a stream as columns and rows, if there is one and it knows.
pub fn size_of(stream: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(stream).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// Asks a person for a secret, which the terminal does not show.
///
/// # Errors
/// Standard input is no terminal; it ended; the person pressed Ctrl-C.
pub fn ask_secret(prompt: &str) -> Result<String> {
    let raw = raw_input(prompt)?;
    eprint!("{prompt}: ");
    let secret = read_secret(&mut stdin().lock());
    drop(raw);
    eprintln!();
    secret.with_context(|| prompt.to_owned())
}

/// Keys come one by one and unseen, also those that would end the program while nothing is seen.
fn raw_input(prompt: &str) -> Result<Raw> {
    anyhow::ensure!(stdin().is_terminal(), "{prompt}: standard input is no terminal to ask on");
    let before = tcgetattr(stdin()).context("read the terminal's mode")?;
    let mut mode = before.clone();
    mode.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
    tcsetattr(stdin(), OptionalActions::Now, &mode).context("set the terminal's mode")?;
    Ok(Raw(before))
}

/// Reads keys to the end of the line.
fn read_secret(keys: &mut impl Read) -> Result<String> {
    let mut line = Vec::new();
    let mut key = [0];
    loop {
        let read = keys.read(&mut key).context("read the terminal")?;
        match key[0] {
            _ if read == 0 => break,
            b'\r' | b'\n' => break,
            0x03 => anyhow::bail!("interrupted"),
            0x04 => break,
            0x08 | 0x7f => {
                line.pop();
            }
            byte => line.push(byte),
        }
    }
    anyhow::ensure!(!line.is_empty(), "nothing was typed");
    String::from_utf8(line).context("what was typed is no text")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_typed() {
        let typed = |mut keys: &[u8]| read_secret(&mut keys).map_err(|e| e.to_string());
        assert_eq!(typed(b"secret\rmore"), Ok("secret".into()));
        assert_eq!(typed(b"sek\x7fcret"), Ok("secret".into()));
        assert_eq!(typed(b"sec\x03ret\r"), Err("interrupted".into()));
        assert_eq!(typed(b"\n"), Err("nothing was typed".into()));
    }
}
