//! A program run to its end under a deadline, with everything it printed.
//!
//! Output goes to unlinked files, not pipes: a grandchild that keeps a descriptor open cannot hold the test up.
//! Absent on purpose: retries. A program either does its work within the deadline or the test fails with its words.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long anything may take that takes a moment, on a machine that has much else to do. It decides only how late a
/// failure is told.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A command with its standard input and its deadline.
#[derive(Debug)]
pub struct Program {
    command: Command,
    stdin: Option<Vec<u8>>,
    deadline: Duration,
}

/// What a program left: its exit code (128 + signal when it was killed) and its words.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The command line, for messages.
    pub line: String,
    /// Exit code, or 128 + the number of the signal that killed it.
    pub code: i32,
    /// Standard output, lossily decoded.
    pub stdout: String,
    /// Standard error, lossily decoded.
    pub stderr: String,
    /// Standard output, as it was.
    pub bytes: Vec<u8>,
}

impl From<Command> for Program {
    fn from(command: Command) -> Self {
        Self { command, stdin: None, deadline: DEADLINE }
    }
}

impl Program {
    /// A program found in PATH or by its path.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(program), stdin: None, deadline: DEADLINE }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// More arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// One variable of the environment.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// The working directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Bytes for its standard input; without them it reads `/dev/null`.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Another deadline than [`DEADLINE`].
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The command itself, for a caller that keeps the child.
    pub fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end. Errors: it cannot be started, or it overran its deadline and was killed; an exit
    /// code is not an error here.
    pub fn run(mut self) -> Result<Finished> {
        let line = line_of(&self.command);
        let mut out = tempfile::tempfile().context("temporary file for standard output")?;
        let mut err = tempfile::tempfile().context("temporary file for standard error")?;
        self.command.stdout(out.try_clone()?).stderr(err.try_clone()?);
        self.command.stdin(match self.stdin.take() {
            Some(bytes) => Stdio::from(file_with(&bytes)?),
            None => Stdio::null(),
        });
        let mut child = self.command.spawn().with_context(|| format!("start `{line}`"))?;
        let status = wait(&mut child, self.deadline)?;
        let bytes = read_from_start(&mut out)?;
        let stderr = String::from_utf8_lossy(&read_from_start(&mut err)?).into_owned();
        let stdout = String::from_utf8_lossy(&bytes).into_owned();
        let Some(status) = status else {
            bail!("`{line}` ran over {:?} and was killed\nstdout: {stdout}\nstderr: {stderr}", self.deadline);
        };
        Ok(Finished { line, code: code_of(status), stdout, stderr, bytes })
    }

    /// Runs it and insists on exit code 0.
    pub fn succeed(self) -> Result<Finished> {
        self.run()?.with_code(0)
    }

    /// Runs it and insists that it fails and that its standard error holds every one of `words`.
    pub fn refuse(self, words: &[&str]) -> Result<Finished> {
        let finished = self.run()?;
        ensure!(finished.code != 0, "expected a refusal: {finished}");
        for word in words {
            ensure!(finished.stderr.contains(word), "expected {word:?} in the refusal: {finished}");
        }
        Ok(finished)
    }
}

impl Finished {
    /// Insists on an exit code.
    pub fn with_code(self, code: i32) -> Result<Self> {
        ensure!(self.code == code, "expected exit code {code}: {self}");
        Ok(self)
    }

    /// The trimmed lines of standard output that are not empty.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().map(str::trim).filter(|l| !l.is_empty()).collect()
    }

    /// Insists that standard output holds every one of `words`.
    pub fn says(self, words: &[&str]) -> Result<Self> {
        for word in words {
            ensure!(self.stdout.contains(word), "expected {word:?} in the output: {self}");
        }
        Ok(self)
    }

    /// Insists that standard error holds `words`.
    pub fn warns(self, words: &str) -> Result<Self> {
        ensure!(self.stderr.contains(words), "expected {words:?} on standard error: {self}");
        Ok(self)
    }

    /// The row of a table whose first cell is `key`.
    pub fn row(&self, key: &str) -> Result<Vec<&str>> {
        let row = self.rows().into_iter().find(|r| r.first() == Some(&key));
        row.with_context(|| format!("no row {key:?}: {self}"))
    }

    /// The rows of a table: cells split at white space, header dropped.
    pub fn rows(&self) -> Vec<Vec<&str>> {
        self.lines().into_iter().skip(1).map(|l| l.split_whitespace().collect()).collect()
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr, .. } = self;
        write!(f, "`{line}` exited with {code}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// Waits for a child; `None` means it overran the deadline and was killed.
pub fn wait(child: &mut Child, deadline: Duration) -> Result<Option<ExitStatus>> {
    let pid = Pid::from_child(child);
    let fd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open")?;
    let timeout = Timespec { tv_sec: deadline.as_secs() as i64, tv_nsec: i64::from(deadline.subsec_nanos()) };
    let ready = loop {
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => continue,
            other => break other.context("poll a pidfd")?,
        }
    };
    if ready == 0 {
        child.kill().context("kill a program that overran its deadline")?;
        child.wait()?;
        return Ok(None);
    }
    Ok(Some(child.wait()?))
}

/// Exit code, or 128 + signal.
pub fn code_of(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// A command as a person would type it.
pub fn line_of(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|a| a.to_string_lossy().into_owned()));
    words.join(" ")
}

fn file_with(bytes: &[u8]) -> Result<File> {
    let mut file = tempfile::tempfile().context("temporary file for standard input")?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn read_from_start(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
