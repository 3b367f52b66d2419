//! A program that goes on while the test works, its output read line by line (`ctr events`, an attached task).

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::program::{DEADLINE, Program, code_of, line_of, wait};

/// A running program and the lines it printed on standard output so far.
#[derive(Debug)]
pub struct Follower {
    child: Child,
    line: String,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Follower {
    /// Starts it. Its standard input is a pipe that [`Self::input`] writes to; standard error goes to the test's.
    pub fn spawn(program: Program) -> Result<Self> {
        let mut command = program.into_command();
        let line = line_of(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start `{line}`"))?;
        let stdout = child.stdout.take().context("standard output of a follower")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, line, lines, seen: Vec::new() })
    }

    /// The pid of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn input(&mut self, text: &str) -> Result<()> {
        use std::io::Write;
        let stdin = self.child.stdin.as_mut().context("standard input is closed")?;
        stdin.write_all(text.as_bytes())?;
        stdin.flush()?;
        Ok(())
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// The first line (also among those seen before) that `wanted` accepts, within [`DEADLINE`].
    pub fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        self.within(DEADLINE, what, wanted)
    }

    /// The first line (also among those seen before) that holds every one of `words`, within [`DEADLINE`].
    pub fn line_with(&mut self, words: &[&str]) -> Result<String> {
        self.until(&format!("line with {words:?}"), |line| words.iter().all(|w| line.contains(w)))
    }

    /// The same as [`Self::until`] with another deadline.
    pub fn within(&mut self, limit: Duration, what: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        if let Some(line) = self.seen.iter().find(|l| wanted(l)) {
            return Ok(line.clone());
        }
        let end = Instant::now() + limit;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if wanted(&line) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    bail!("`{}`: no {what} within {limit:?}; seen: {:#?}", self.line, self.seen)
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("`{}` ended before {what}; seen: {:#?}", self.line, self.seen)
                }
            }
        }
    }

    /// All lines seen so far.
    pub fn seen(&mut self) -> &[String] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    /// Waits for its end and gives its exit code.
    pub fn finish(mut self) -> Result<i32> {
        self.close_input();
        match wait(&mut self.child, DEADLINE)? {
            Some(status) => Ok(code_of(status)),
            None => bail!("`{}` did not end in {DEADLINE:?}; seen: {:#?}", self.line, self.seen),
        }
    }

    /// Ends it, whatever it does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}
