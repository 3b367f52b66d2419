//! The user's terminal: raw while a program in a container has it, and back to what it was.

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, stdin};

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
    tcgetwinsize(stdin()).ok().map(|size| (size.ws_col, size.ws_row))
}
