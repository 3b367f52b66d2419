//! Opens a process's streams: what it gets as 0, 1 and 2, and what the shim keeps.
//!
//! A fifo is handed to the process itself, so nothing is copied and a container outlives its shim. The shim keeps a
//! second end of it: a reader, so that the process never writes into a closed pipe and the end of all writers shows
//! as a hang-up, and a writer of standard input until the client closes it. Plain files are never handed out, since a
//! process could cut them short; a pipe and a pump stand between, for log files in a child. No open here waits.

use std::fs::FileType;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::Path;

use kernel::pty::{Blocking, set_blocking};
use model::{Error, Result};
use rustix::fs::{CWD, Gid, Mode, OFlags, Uid, fchown, openat};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::logger::{self, Logger};
use super::target::{Request, Target, parse};
use crate::pump::{Method, Pump};

/// Room for unread output in a fifo, bytes: about what two pipes and a copying shim between them hold.
const FIFO_BYTES: usize = 256 << 10;

/// Longest way from the wish for streams to a running logger.
pub const READY_SECS: u64 = 30;

/// Whose streams are opened, and how.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The strings of the request.
    pub request: &'a Request,
    /// Namespace, for a logging program.
    pub namespace: &'a str,
    /// Container or exec id, for a logging program.
    pub id: &'a str,
    /// Owner of pipe ends; 0 leaves it.
    pub uid: u32,
    /// Group of pipe ends; 0 leaves it.
    pub gid: u32,
    /// Whether fifos go to the process itself; not where a security module minds foreign fifos.
    pub direct: bool,
}

/// What the process gets.
#[derive(Debug)]
pub struct Ends {
    /// Descriptor 0.
    pub stdin: OwnedFd,
    /// Descriptor 1.
    pub stdout: OwnedFd,
    /// Descriptor 2.
    pub stderr: OwnedFd,
}

/// What the shim keeps while the process runs.
#[derive(Debug, Default)]
pub struct Kept {
    /// Our writer of the stdin fifo; dropped by CloseIO.
    pub stdin_holder: Option<OwnedFd>,
    /// Our readers of output fifos; a hang-up there is the end of all writers.
    pub readers: Vec<OwnedFd>,
    /// Our writers of output fifos of an ended process with much unread: a reader may still come, and finds an end.
    pub late: Vec<OwnedFd>,
    /// Pumps of output, to be run.
    pub pumps: Vec<Pump>,
    /// Ends that wait for the terminal's master.
    pub terminal: Option<TerminalEnds>,
    /// The logging program.
    pub logger: Option<Logger>,
}

/// The client's side of a terminal.
#[derive(Debug)]
pub struct TerminalEnds {
    /// Where keys come from.
    pub stdin: Option<OwnedFd>,
    /// Where output goes.
    pub stdout: OwnedFd,
}

/// Opened streams.
#[derive(Debug)]
pub struct Opened {
    /// For the process.
    pub ends: Ends,
    /// For the shim.
    pub kept: Kept,
}

impl Wanted<'_> {
    /// Opens the streams.
    pub fn open(&self) -> Result<Opened> {
        let target = parse(self.request).map_err(|e| e.during(INIT_IO))?;
        match (target, self.request.terminal) {
            (Target::Null, false) => Ok(Opened { ends: Ends::null()?, kept: Kept::default() }),
            (Target::Null, true) => Err(Error::unknown(missing_console(""))),
            (Target::Paths, false) => self.open_paths(),
            (Target::Paths, true) => self.open_terminal(),
            (Target::File(path), false) => self.open_file(&path),
            (Target::File(_), true) => Err(Error::unknown(missing_console(&self.request.stdout))),
            (Target::Program { path, arguments, must_report }, _) => {
                let program = logger::Program { path: &path, arguments: &arguments, must_report };
                self.open_program(program).map_err(|e| e.during(INIT_IO))
            }
        }
    }

    fn open_paths(&self) -> Result<Opened> {
        let Request { stdin, stdout, stderr, .. } = self.request;
        let (mut kept, mut files) = (Kept::default(), Vec::new());
        let out = self.open_output(stdout, (&mut kept, &mut files))?;
        let err = match stderr == stdout {
            true => duplicate(&out)?,
            false => self.open_output(stderr, (&mut kept, &mut files))?,
        };
        let stdin = match stdin.as_str() {
            "" => null()?,
            path => {
                let (reader, holder) =
                    open_input(path).map_err(|e| e.during(format!("failed to open stdin fifo {path}")))?;
                set_blocking(&reader, Blocking::Yes).map_err(kernel_error)?;
                self.own(&reader)?;
                kept.stdin_holder = holder;
                reader
            }
        };
        if !files.is_empty() {
            kept.logger = Some(Logger::copying(files).map_err(|e| e.during(INIT_IO))?);
        }
        Ok(Opened { ends: Ends { stdin, stdout: out, stderr: err }, kept })
    }

    /// The process's end of an output path. What is for a file on a disk is to be copied by a child.
    fn open_output(&self, path: &str, (kept, files): (&mut Kept, &mut Files)) -> Result<OwnedFd> {
        let failed = |e: Error| e.during(format!("{PIPE_COPY}: opening file {path:?} failed"));
        let found = kind_of(path).map_err(failed)?;
        let fifo = found.is_fifo();
        let sink = if fifo {
            let reader = open(path, OFlags::RDONLY | OFlags::NONBLOCK).map_err(failed)?;
            kept.readers.push(reader);
            open(path, OFlags::WRONLY | OFlags::NONBLOCK).map_err(failed)?
        } else {
            open(path, OFlags::WRONLY | OFlags::APPEND).map_err(failed)?
        };
        if fifo && self.direct {
            // More room is a kindness, not a need.
            let _ = fcntl_setpipe_size(&sink, FIFO_BYTES);
            set_blocking(&sink, Blocking::Yes).map_err(kernel_error)?;
            self.own(&sink)?;
            return Ok(sink);
        }
        let (source, end) = self.output_pipe()?;
        if found.is_file() {
            files.push((source, sink));
            return Ok(end);
        }
        kept.pumps.push(Pump::new(source, sink, if fifo { Method::Splice } else { Method::Append }));
        Ok(end)
    }

    fn open_terminal(&self) -> Result<Opened> {
        let Request { stdin, stdout, .. } = self.request;
        let found = kind_of(stdout).map_err(|_| Error::unknown(missing_console(stdout)))?;
        if found.is_file() {
            let sink = open(stdout, OFlags::WRONLY | OFlags::APPEND)?;
            let (source, end) = pipe(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
            let mut opened = self.terminal(end, stdin, Kept::default())?;
            opened.kept.logger = Some(Logger::copying(vec![(source, sink)])?);
            return Ok(opened);
        }
        if !found.is_fifo() {
            let sink = open(stdout, OFlags::WRONLY | OFlags::APPEND)?;
            return self.terminal(sink, stdin, Kept::default());
        }
        let mut kept = Kept::default();
        kept.readers.push(open(stdout, OFlags::RDONLY | OFlags::NONBLOCK)?);
        let sink = open(stdout, OFlags::WRONLY | OFlags::NONBLOCK)?;
        self.terminal(sink, stdin, kept)
    }

    fn terminal(&self, stdout: OwnedFd, stdin: &str, mut kept: Kept) -> Result<Opened> {
        let stdin = match stdin {
            "" => None,
            path => {
                let (reader, holder) = open_input(path).map_err(|_| Error::unknown(missing_console(path)))?;
                kept.stdin_holder = holder;
                Some(reader)
            }
        };
        kept.terminal = Some(TerminalEnds { stdin, stdout });
        Ok(Opened { ends: Ends::null()?, kept })
    }

    fn open_file(&self, path: &Path) -> Result<Opened> {
        if self.request.stderr.is_empty() {
            return Err(Error::unknown(missing("")).during(PIPE_COPY));
        }
        if let Some(parent) = path.parent() {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent);
            made.map_err(|e| Error::io("mkdir", parent, e).during(INIT_IO))?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
        let sink = open(path, flags).map_err(|e| e.during(INIT_IO))?;
        let (source, stdout) = self.output_pipe()?;
        let stderr = duplicate(&stdout)?;
        let logger = Logger::copying(vec![(source, sink)]).map_err(|e| e.during(INIT_IO))?;
        let kept = Kept { logger: Some(logger), ..Kept::default() };
        Ok(Opened { ends: Ends { stdin: null()?, stdout, stderr }, kept })
    }

    fn open_program(&self, program: logger::Program<'_>) -> Result<Opened> {
        let (out_reader, out) = pipe(PipeFlags::CLOEXEC)?;
        let (err_reader, err) = pipe(PipeFlags::CLOEXEC)?;
        let identity = logger::Identity { namespace: self.namespace, id: self.id };
        let logger = program.spawn(identity, [out_reader, err_reader])?;
        let kept = Kept { logger: Some(logger), ..Kept::default() };
        if self.request.terminal {
            set_blocking(&out, Blocking::No).map_err(kernel_error)?;
            return self.terminal(out, &self.request.stdin, kept);
        }
        self.own(&out)?;
        self.own(&err)?;
        let mut kept = kept;
        let stdin = match self.request.stdin.as_str() {
            "" => null()?,
            path => {
                let (reader, holder) = open_input(path)?;
                set_blocking(&reader, Blocking::Yes).map_err(kernel_error)?;
                kept.stdin_holder = holder;
                reader
            }
        };
        Ok(Opened { ends: Ends { stdin, stdout: out, stderr: err }, kept })
    }

    /// A pipe for output: our end does not block, the process's does.
    fn output_pipe(&self) -> Result<(OwnedFd, OwnedFd)> {
        let (source, end) = pipe(PipeFlags::CLOEXEC)?;
        set_blocking(&source, Blocking::No).map_err(kernel_error)?;
        self.own(&end)?;
        Ok((source, end))
    }

    fn own(&self, fd: &OwnedFd) -> Result<()> {
        if self.uid == 0 && self.gid == 0 {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        fchown(fd, Some(uid), Some(gid)).map_err(|e| Error::io("chown", "pipe", e.into()))
    }
}

/// Reading ends of pipes, and the files that what comes out of them is appended to.
type Files = Vec<(OwnedFd, OwnedFd)>;

const INIT_IO: &str = "failed to create init process I/O";
const PIPE_COPY: &str = "failed to start io pipe copy: unable to copy pipes: containerd-shim";

fn missing(path: &str) -> String {
    format!("opening file {path:?} failed: open {path}: no such file or directory")
}

fn missing_console(path: &str) -> String {
    format!("failed to start console copy: stat {path}: no such file or directory")
}

fn kernel_error(error: kernel::KernelError) -> Error {
    Error::unknown(error.to_string())
}

impl Ends {
    fn null() -> Result<Self> {
        let stdin = null()?;
        Ok(Self { stdout: duplicate(&stdin)?, stderr: duplicate(&stdin)?, stdin })
    }
}

/// `/dev/null`.
pub fn null() -> Result<OwnedFd> {
    open("/dev/null", OFlags::RDWR)
}

/// Another descriptor of the same open file.
pub fn duplicate(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).map_err(|e| Error::io("dup", "a stream", e.into()))
}

fn pipe(flags: PipeFlags) -> Result<(OwnedFd, OwnedFd)> {
    pipe_with(flags).map_err(|e| Error::io("open", "pipe", e.into()))
}

fn open(path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd> {
    let path = path.as_ref();
    let mode = Mode::from_raw_mode(0o644);
    openat(CWD, path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, mode)
        .map_err(|e| Error::io("open", path, e.into()))
}

/// A writer of the fifo that `reader` reads.
pub fn writer_of(reader: &OwnedFd) -> Result<OwnedFd> {
    open(format!("/proc/self/fd/{}", reader.as_raw_fd()), OFlags::WRONLY | OFlags::NONBLOCK)
}

fn kind_of(path: &str) -> Result<FileType> {
    let found = std::fs::metadata(path).map_err(|e| Error::io("open", path, e))?;
    Ok(found.file_type())
}

/// The reader of a stdin path, not blocking, and for a fifo our own writer of it.
fn open_input(path: &str) -> Result<(OwnedFd, Option<OwnedFd>)> {
    let found = std::fs::metadata(path).map_err(|e| Error::io("stat", path, e))?;
    let reader = open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let holder = match found.file_type().is_fifo() {
        true => Some(open(path, OFlags::WRONLY | OFlags::NONBLOCK)?),
        false => None,
    };
    Ok((reader, holder))
}
