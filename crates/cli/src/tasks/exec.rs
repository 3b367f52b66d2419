//! `gantry tasks exec`

use super::io::{FIFO_DIR, Stdio};
use super::process::Process;
use crate::{Context, accounts, output, terminal};
use anyhow::{Context as _, Result};
use model::{Any, tasks};
use oci::runtime::{ConsoleSize, Spec};
use std::path::{Path, PathBuf};

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
    /// Environment beside or instead of the container's, KEY=value.
    #[arg(long)]
    env: Vec<String>,
    /// name|uid[:group|gid] to run as.
    #[arg(long)]
    user: Option<String>,
    /// Send its output to this URI: file://, binary://.
    #[arg(long, conflicts_with_all = ["tty", "fifo_dir"])]
    log_uri: Option<String>,
    /// The directory for fifos.
    #[arg(long, default_value = FIFO_DIR)]
    fifo_dir: PathBuf,
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
        let process = spec.process.context("the container's spec has no process")?;
        let process = self.process(cx, process).await?;
        let raw = (self.tty && !self.detach).then(terminal::raw).transpose()?;
        let mut stdio = match &self.log_uri {
            Some(uri) => Stdio::log(uri),
            None => Stdio::fifos(&self.fifo_dir, &self.exec_id, self.tty)?,
        };
        let ended = self.live(cx, &process, &mut stdio).await;
        if !self.detach || ended.is_err() {
            stdio.remove().unwrap_or_else(|e| output::complain(&e));
        }
        drop(raw);
        ended
    }

    async fn live(&self, cx: &Context, process: &oci::runtime::Process, stdio: &mut Stdio) -> Result<u8> {
        let value = serde_json::to_vec(process)?.into();
        let spec = Some(Any { type_url: model::any::PROCESS_URL.into(), value });
        let exec = tasks::Exec { exec_id: self.exec_id.clone(), io: stdio.io.clone(), spec };
        cx.services.tasks.exec(&cx.scope, &self.container, exec).await?;
        let process = Process { cx, id: &self.container, exec_id: &self.exec_id, terminal: self.tty };
        if self.detach {
            process.start().await?;
            return Ok(0);
        }
        Ok(process.run(stdio).await??.status as u8)
    }

    /// The container's first process with another command, and what the flags say.
    async fn process(
        &self,
        cx: &Context,
        mut process: oci::runtime::Process,
    ) -> Result<oci::runtime::Process> {
        process.args.clone_from(&self.command);
        process.terminal = self.tty;
        process.console_size = match (self.tty, terminal::size()) {
            (true, Some((width, height))) => Some(ConsoleSize { width: width.into(), height: height.into() }),
            _ => None,
        };
        process.env = spec::merged_env(process.env, &self.env);
        if let Some(cwd) = &self.cwd {
            process.cwd.clone_from(cwd);
        }
        if let Some(user) = &self.user {
            let user = self.accounts(cx, user).await?.resolve(user)?;
            (process.user.uid, process.user.gid) = (user.uid, user.gid);
            process.user.additional_gids = user.groups;
        }
        Ok(process)
    }

    /// The accounts that the running container sees.
    async fn accounts(&self, cx: &Context, user: &str) -> Result<spec::Accounts> {
        if !accounts::are_needed(user) {
            return Ok(spec::Accounts::default());
        }
        let pid = cx.services.tasks.get(&cx.scope, &self.container, "").await?.pid;
        accounts::of_root(Path::new(&format!("/proc/{pid}/root")))
            .with_context(|| format!("look for the user in container {}", self.container))
    }
}
