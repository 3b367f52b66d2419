//! A foreground process' stdio: fifos between the shim and this process' own standard streams.

use anyhow::{Context as _, Result};
use model::tasks::Io;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncWriteExt};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};
use tokio::task::JoinHandle;

/// Where fifos are made unless told otherwise.
pub const FIFO_DIR: &str = "/run/containerd/fifo";

/// Fifos that a shim can open now. Both ends are held open until [`Fifos::attach`], so nobody waits for anybody.
pub struct Fifos {
    dir: PathBuf,
    io: Io,
    held: Vec<Receiver>,
}

/// Copying in both directions.
pub struct Attached {
    output: Vec<JoinHandle<std::io::Result<u64>>>,
    input: Option<JoinHandle<std::io::Result<()>>>,
    dir: Option<PathBuf>,
}

impl Fifos {
    /// Makes fifos for a process in a fresh directory below `base`.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn create(base: &Path, id: &str, terminal: bool) -> Result<Self> {
        std::fs::create_dir_all(base).with_context(|| format!("make {}", base.display()))?;
        let unique =
            format!("{:010}", (jiff::Timestamp::now().as_nanosecond() / 1_000) as u64 % 10_000_000_000);
        let dir = base.join(format!("{unique}-{}", std::process::id()));
        std::fs::create_dir(&dir).with_context(|| format!("make {}", dir.display()))?;
        let path = |name: &str| dir.join(format!("{id}-{name}")).display().to_string();
        let stderr = if terminal { String::new() } else { path("stderr") };
        let io = Io { stdin: path("stdin"), stdout: path("stdout"), stderr, terminal };
        let mut fifos = Self { dir, io, held: Vec::new() };
        for path in
            [&fifos.io.stdin, &fifos.io.stdout, &fifos.io.stderr].into_iter().filter(|p| !p.is_empty())
        {
            mknodat(CWD, path.as_str(), FileType::Fifo, Mode::RWXU, 0)
                .with_context(|| format!("make fifo {path}"))?;
            fifos.held.push(both_ends(path)?);
        }
        Ok(fifos)
    }

    /// The paths for the shim.
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Begins to copy; to be called once the shim has opened its ends. `on_eof` runs when standard input has ended.
    ///
    /// # Errors
    /// A fifo cannot be opened.
    pub fn attach(self, on_eof: impl Future<Output = ()> + Send + 'static) -> Result<Attached> {
        let mut attached = attach(&self.io, on_eof)?;
        attached.dir = Some(self.dir.clone());
        drop(self.held);
        Ok(attached)
    }
}

/// Begins to copy from and to fifos that exist.
///
/// # Errors
/// A fifo cannot be opened.
pub fn attach(io: &Io, on_eof: impl Future<Output = ()> + Send + 'static) -> Result<Attached> {
    let mut output = Vec::new();
    if !io.stdout.is_empty() {
        output.push(tokio::spawn(copy(receiver(&io.stdout)?, tokio::io::stdout())));
    }
    if !io.stderr.is_empty() {
        output.push(tokio::spawn(copy(receiver(&io.stderr)?, tokio::io::stderr())));
    }
    let input = match io.stdin.as_str() {
        "" => None,
        path => {
            let sender = OpenOptions::new().open_sender(path).with_context(|| format!("open fifo {path}"))?;
            Some(tokio::spawn(feed(sender, on_eof)))
        }
    };
    Ok(Attached { output, input, dir: None })
}

impl Attached {
    /// Waits until all output has arrived, stops reading standard input and removes the fifos.
    ///
    /// # Errors
    /// Standard output is gone.
    pub async fn finish(mut self) -> Result<()> {
        if let Some(input) = self.input.take() {
            input.abort();
        }
        for output in self.output.drain(..) {
            output.await?.context("copy output")?;
        }
        if let Some(dir) = &self.dir {
            std::fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
        }
        Ok(())
    }
}

fn both_ends(path: &str) -> Result<Receiver> {
    OpenOptions::new().read_write(true).open_receiver(path).with_context(|| format!("open fifo {path}"))
}

fn receiver(path: &str) -> Result<Receiver> {
    OpenOptions::new().open_receiver(path).with_context(|| format!("open fifo {path}"))
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) -> std::io::Result<u64> {
    let copied = tokio::io::copy(&mut from, &mut to).await?;
    to.flush().await?;
    Ok(copied)
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
