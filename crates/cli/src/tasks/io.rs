//! A process' stdio: nothing, a log, or fifos between the shim and this process' own standard streams.

use crate::context;
use anyhow::{Context as _, Result};
use model::tasks::Io;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};
use tokio::task::JoinHandle;

/// Where fifos are made unless told otherwise.
pub const FIFO_DIR: &str = "/run/containerd/fifo";

/// A process' stdio, made before the process.
#[derive(Default)]
pub struct Stdio {
    /// What the shim is told.
    pub io: Io,
    fifos: Option<Fifos>,
}

/// The directory of a process' fifos, and both ends of each: as long as they are held, nobody waits for anybody and
/// no byte is lost.
struct Fifos {
    dir: PathBuf,
    held: Vec<Receiver>,
}

/// Copying in both directions.
pub struct Attached {
    output: Vec<JoinHandle<std::io::Result<u64>>>,
    input: Option<JoinHandle<std::io::Result<()>>>,
}

impl Stdio {
    /// All output goes to a URI (`file://…`, `binary://…`).
    pub fn log(uri: &str) -> Self {
        Self { io: Io { stdout: uri.into(), stderr: uri.into(), ..Io::default() }, fifos: None }
    }

    /// Fifos for a process in a fresh directory below `under`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn fifos(under: &Path, id: &str, terminal: bool) -> Result<Self> {
        let dir = under.join(context::unique());
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .with_context(|| format!("make {}", dir.display()))?;
        let path = |name: &str| dir.join(format!("{id}-{name}")).display().to_string();
        let stderr = if terminal { String::new() } else { path("stderr") };
        let io = Io { stdin: path("stdin"), stdout: path("stdout"), stderr, terminal };
        let mut held = Vec::new();
        for path in [&io.stdin, &io.stdout, &io.stderr].into_iter().filter(|p| !p.is_empty()) {
            mknodat(CWD, path.as_str(), FileType::Fifo, Mode::RWXU, 0)
                .with_context(|| format!("make fifo {path}"))?;
            held.push(both_ends(path)?);
        }
        Ok(Self { io, fifos: Some(Fifos { dir, held }) })
    }

    /// Begins to copy, if there are fifos; to be called once the shim has opened its ends. `on_eof` runs when standard
    /// input has ended.
    ///
    /// # Errors
    /// A fifo cannot be opened.
    pub fn attach(&mut self, on_eof: impl Future<Output = ()> + Send + 'static) -> Result<Attached> {
        let Some(fifos) = &mut self.fifos else { return Ok(Attached { output: Vec::new(), input: None }) };
        let attached = attach(&self.io, on_eof)?;
        fifos.held.clear();
        Ok(attached)
    }

    /// Removes the fifos.
    ///
    /// # Errors
    /// They cannot be removed.
    pub fn remove(self) -> Result<()> {
        let Some(Fifos { dir, .. }) = self.fifos else { return Ok(()) };
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))
    }
}

/// Begins to copy from and to fifos that exist.
///
/// # Errors
/// A fifo cannot be opened.
pub fn attach(io: &Io, on_eof: impl Future<Output = ()> + Send + 'static) -> Result<Attached> {
    let mut output = Vec::new();
    if !io.stdout.is_empty() {
        output.push(tokio::spawn(pour(receiver(&io.stdout)?, tokio::io::stdout())));
    }
    if !io.stderr.is_empty() {
        output.push(tokio::spawn(pour(receiver(&io.stderr)?, tokio::io::stderr())));
    }
    let input = match io.stdin.as_str() {
        "" => None,
        path => {
            let sender = OpenOptions::new().open_sender(path).with_context(|| format!("open fifo {path}"))?;
            Some(tokio::spawn(feed(sender, on_eof)))
        }
    };
    Ok(Attached { output, input })
}

impl Attached {
    /// Waits until all output has arrived, also when some of it goes nowhere any more, and stops reading standard input.
    ///
    /// # Errors
    /// Standard output is gone.
    pub async fn finish(self) -> Result<()> {
        if let Some(input) = self.input {
            input.abort();
        }
        let mut done = Ok(());
        for output in self.output {
            let copied = output.await.map_err(anyhow::Error::from);
            done = done.and(copied.and_then(|copied| copied.context("copy output").map(drop)));
        }
        done
    }
}

/// Removes the fifos that a process whose client is gone was connected to, and their directory if that is empty.
/// What is no fifo, or is not on this machine, is left alone.
///
/// # Errors
/// A fifo cannot be removed.
pub fn remove_fifos(io: &Io) -> Result<()> {
    for path in [&io.stdin, &io.stdout, &io.stderr].map(Path::new) {
        if !std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo()) {
            continue;
        }
        std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
        if let Some(dir) = path.parent() {
            // Somebody else's fifos may still be in it.
            let _ = std::fs::remove_dir(dir);
        }
    }
    Ok(())
}

fn both_ends(path: &str) -> Result<Receiver> {
    OpenOptions::new().read_write(true).open_receiver(path).with_context(|| format!("open fifo {path}"))
}

fn receiver(path: &str) -> Result<Receiver> {
    OpenOptions::new().open_receiver(path).with_context(|| format!("open fifo {path}"))
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> std::io::Result<u64> {
    let copied = tokio::io::copy(&mut from, &mut to).await?;
    to.flush().await?;
    Ok(copied)
}

/// Copies output to its end. Where nobody takes it any more it is read all the same: the process would wait for ever.
async fn pour(mut from: impl AsyncRead + Unpin, to: impl AsyncWrite + Unpin) -> std::io::Result<u64> {
    let copied = copy(&mut from, to).await;
    if copied.is_err() {
        // The first error is the one to tell; a fifo that cannot be read ends this one at once too.
        let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    }
    copied
}

/// Copies standard input until it ends or the process has closed its end.
async fn feed(mut to: Sender, on_eof: impl Future<Output = ()>) -> std::io::Result<()> {
    match copy(tokio::io::stdin(), &mut to).await {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => return Err(e),
        _ => {}
    }
    drop(to);
    on_eof.await;
    Ok(())
}
