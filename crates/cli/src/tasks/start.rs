//! `gantry tasks start`

use super::io::{FIFO_DIR, Fifos};
use super::watch::Watch;
use crate::{Context, terminal};
use anyhow::{Context as _, Result};
use model::containers::Container;
use model::tasks::{Create, Io};
use std::path::PathBuf;

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
        self.options.start(cx, &container).await
    }
}

impl Options {
    /// Creates and starts a container's task; unless detached, stands by it until it ends and removes it.
    pub(crate) async fn start(&self, cx: &Context, container: &Container) -> Result<u8> {
        let spec = container.spec.as_ref().map(|any| cx.words.json(any)).unwrap_or_default();
        let terminal = spec["process"]["terminal"].as_bool().unwrap_or(false);
        let rootfs = match container.snapshot_key.as_str() {
            "" => Vec::new(),
            key => cx.snapshotter(&container.snapshotter).mounts(&cx.scope, key).await?,
        };
        let raw = (terminal && !self.detach).then(terminal::raw).transpose()?;
        let (io, fifos) = self.io(container, terminal)?;
        let create = Create { container_id: container.id.clone(), rootfs, io, ..Create::default() };
        let tasks = cx.services.tasks.clone();
        let pid = tasks.create(&cx.scope, create).await?;
        if let Some(path) = &self.pid_file {
            std::fs::write(path, pid.to_string()).with_context(|| format!("write {}", path.display()))?;
        }
        if self.detach {
            tasks.start(&cx.scope, &container.id, "").await?;
            return Ok(0);
        }
        let (scope, id) = (cx.scope.clone(), container.id.clone());
        let on_eof = async move {
            if let Err(e) = tasks.close_stdin(&scope, &id, "").await
                && !e.is_not_found()
            {
                eprintln!("gantry: standard input of {id} could not be closed: {e}");
            }
        };
        let attached = fifos.map(|fifos| fifos.attach(on_eof)).transpose()?;
        let watch = Watch { cx, id: &container.id, exec_id: "", terminal };
        if let Err(e) = cx.services.tasks.start(&cx.scope, &container.id, "").await {
            cx.services.tasks.delete(&cx.scope, &container.id).await?;
            return Err(e.into());
        }
        let exit = watch.run().await?;
        if let Some(attached) = attached {
            attached.finish().await?;
        }
        drop(raw);
        cx.services.tasks.delete(&cx.scope, &container.id).await?;
        Ok(exit.status as u8)
    }

    fn io(&self, container: &Container, terminal: bool) -> Result<(Io, Option<Fifos>)> {
        if let Some(uri) = &self.log_uri {
            return Ok((Io { stdout: uri.clone(), stderr: uri.clone(), ..Io::default() }, None));
        }
        if self.null_io || self.detach && !terminal {
            return Ok((Io::default(), None));
        }
        let fifos = Fifos::create(&self.fifo_dir, &container.id, terminal)?;
        Ok((fifos.io().clone(), Some(fifos)))
    }
}
