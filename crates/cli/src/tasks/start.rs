//! `gantry tasks start`

use super::io::{FIFO_DIR, Stdio};
use super::process::Process;
use crate::{Context, output, terminal};
use anyhow::{Context as _, Result};
use model::containers::Container;
use model::tasks::Create;
use std::path::{Path, PathBuf};

/// Start a container's task.
#[derive(Debug, clap::Args)]
pub struct Start {
    #[command(flatten)]
    options: Options,
    /// The container.
    container: String,
}

/// How to start a task.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
pub struct Options {
    /// Do not wait for it.
    #[arg(long, short)]
    pub detach: bool,
    /// Connect its standard streams to nothing.
    #[arg(long)]
    pub null_io: bool,
    /// Send its output to this URI: file://, binary://.
    #[arg(long)]
    pub log_uri: Option<String>,
    /// The directory for fifos.
    #[arg(long, default_value = FIFO_DIR)]
    pub fifo_dir: PathBuf,
    /// Write the first process' pid to this file.
    #[arg(long)]
    pub pid_file: Option<PathBuf>,
}

impl Start {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let container = cx.services.containers.get(&cx.scope, &self.container).await?;
        self.options.start(cx, &container).await?
    }
}

impl Options {
    /// Creates and starts a container's task; unless detached, stands by it until it ends and removes it. An error
    /// means that there is no task; the inner one is that of a task that was started.
    pub(crate) async fn start(&self, cx: &Context, container: &Container) -> Result<Result<u8>> {
        let spec = container.spec.as_ref().map(client::words::json).unwrap_or_default();
        let terminal = spec["process"]["terminal"].as_bool().unwrap_or(false);
        let raw = (terminal && !self.detach).then(terminal::raw).transpose()?;
        let mut stdio = self.stdio(&container.id, terminal)?;
        let ended = self.live(cx, container, &mut stdio).await;
        // A detached task's fifos stay, to be attached to.
        if !self.detach || !matches!(ended, Ok(Ok(_))) {
            stdio.remove().unwrap_or_else(|e| output::complain(&e));
        }
        drop(raw);
        ended
    }

    async fn live(&self, cx: &Context, container: &Container, stdio: &mut Stdio) -> Result<Result<u8>> {
        let rootfs = match container.snapshot_key.as_str() {
            "" => Vec::new(),
            key => cx.snapshotter(&container.snapshotter).mounts(&cx.scope, key).await?,
        };
        let (container_id, io) = (container.id.clone(), stdio.io.clone());
        let process = Process { cx, id: &container.id, exec_id: "", terminal: io.terminal };
        let create = Create { container_id, rootfs, io, ..Create::default() };
        let pid = cx.services.tasks.create(&cx.scope, create).await?;
        if let Some(path) = &self.pid_file
            && let Err(e) = write_pid(path, pid)
        {
            return Err(process.give_up(e).await);
        }
        if self.detach {
            process.start().await?;
            return Ok(Ok(0));
        }
        Ok(process.run(stdio).await?.map(|exit| exit.status as u8))
    }

    fn stdio(&self, id: &str, terminal: bool) -> Result<Stdio> {
        match &self.log_uri {
            Some(uri) => Ok(Stdio::log(uri)),
            None if self.null_io => Ok(Stdio::default()),
            None => Stdio::fifos(&self.fifo_dir, id, terminal),
        }
    }
}

/// Writes a pid so that no reader sees half of it.
fn write_pid(path: &Path, pid: u32) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let unfinished = path.with_file_name(name);
    std::fs::write(&unfinished, pid.to_string())
        .and_then(|()| std::fs::rename(&unfinished, path))
        .with_context(|| format!("write {}", path.display()))
}
