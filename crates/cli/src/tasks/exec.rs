//! `gantry tasks exec`

use super::io::{FIFO_DIR, Fifos};
use super::watch::Watch;
use crate::{Context, terminal};
use anyhow::{Context as _, Result, ensure};
use model::Any;
use model::tasks::{self, Io};
use oci::runtime::{ConsoleSize, Process, Spec};
use std::path::PathBuf;

/// Run a further process in a task.
#[derive(Debug, clap::Args)]
pub struct Exec {
    /// The process' id.
    #[arg(long)]
    exec_id: String,
    /// Its working directory.
    #[arg(long)]
    cwd: Option<String>,
    /// Give it a terminal.
    #[arg(long, short)]
    tty: bool,
    /// Do not wait for it.
    #[arg(long, short)]
    detach: bool,
    /// Further environment, KEY=value.
    #[arg(long)]
    env: Vec<String>,
    /// uid[:gid] to run as.
    #[arg(long)]
    user: Option<String>,
    /// Send its output to this URI: file://, binary://.
    #[arg(long, conflicts_with_all = ["tty", "fifo_dir"])]
    log_uri: Option<String>,
    /// The directory for fifos.
    #[arg(long)]
    fifo_dir: Option<PathBuf>,
    /// The container.
    container: String,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Exec {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let container = cx.services.containers.get(&cx.scope, &self.container).await?;
        let spec = container.spec.context("the container has no spec")?;
        let spec: Spec = serde_json::from_slice(&spec.value).context("read the container's spec")?;
        let process = self.process(spec.process.context("the container's spec has no process")?)?;
        let raw = (self.tty && !self.detach).then(terminal::raw).transpose()?;
        let (io, fifos) = self.io()?;
        let value = serde_json::to_vec(&process)?.into();
        let spec = Some(Any { type_url: model::any::PROCESS_URL.into(), value });
        let tasks = cx.services.tasks.clone();
        tasks
            .exec(&cx.scope, &self.container, tasks::Exec { exec_id: self.exec_id.clone(), io, spec })
            .await?;
        if let Err(e) = tasks.start(&cx.scope, &self.container, &self.exec_id).await {
            tasks.delete_process(&cx.scope, &self.container, &self.exec_id).await?;
            return Err(e.into());
        }
        if self.detach {
            return Ok(0);
        }
        let (scope, id, exec_id) = (cx.scope.clone(), self.container.clone(), self.exec_id.clone());
        let closing = tasks.clone();
        let on_eof = async move {
            if let Err(e) = closing.close_stdin(&scope, &id, &exec_id).await
                && !e.is_not_found()
            {
                eprintln!("gantry: standard input of {exec_id} could not be closed: {e}");
            }
        };
        let attached = fifos.map(|fifos| fifos.attach(on_eof)).transpose()?;
        let watch = Watch { cx, id: &self.container, exec_id: &self.exec_id, terminal: self.tty };
        let exit = watch.run().await?;
        if let Some(attached) = attached {
            attached.finish().await?;
        }
        drop(raw);
        tasks.delete_process(&cx.scope, &self.container, &self.exec_id).await?;
        Ok(exit.status as u8)
    }

    fn process(&self, mut process: Process) -> Result<Process> {
        process.args.clone_from(&self.command);
        process.terminal = self.tty;
        process.console_size = match (self.tty, terminal::size()) {
            (true, Some((width, height))) => Some(ConsoleSize { width: width.into(), height: height.into() }),
            _ => None,
        };
        process.env.extend(self.env.iter().cloned());
        if let Some(cwd) = &self.cwd {
            process.cwd.clone_from(cwd);
        }
        if let Some(user) = &self.user {
            let user =
                spec::Accounts::default().resolve(user).map_err(|e| e.during("--user takes uid[:gid]"))?;
            (process.user.uid, process.user.gid) = (user.uid, user.gid);
            process.user.additional_gids = user.groups;
        }
        Ok(process)
    }

    fn io(&self) -> Result<(Io, Option<Fifos>)> {
        if let Some(uri) = &self.log_uri {
            ensure!(!self.tty, "--log-uri and --tty exclude each other");
            return Ok((Io { stdout: uri.clone(), stderr: uri.clone(), ..Io::default() }, None));
        }
        if self.detach && !self.tty {
            return Ok((Io::default(), None));
        }
        let base = self.fifo_dir.clone().unwrap_or_else(|| FIFO_DIR.into());
        let fifos = Fifos::create(&base, &self.exec_id, self.tty)?;
        Ok((fifos.io().clone(), Some(fifos)))
    }
}
