//! `gantry tasks attach`

use super::io;
use super::process::{Process, Signals};
use crate::{Context, terminal};
use anyhow::Result;

/// Attach to a running task's input and output.
#[derive(Debug, clap::Args)]
pub struct Attach {
    /// The container.
    container: String,
}

impl Attach {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let task = cx.services.tasks.get(&cx.scope, &self.container, "").await?;
        let terminal = task.io.terminal;
        let raw = terminal.then(terminal::raw).transpose()?;
        let process = Process { cx, id: &self.container, exec_id: "", terminal };
        let signals = Signals::listen()?;
        let attached = io::attach(&task.io, process.close_stdin())?;
        let exit = process.watch(signals).await?;
        attached.finish().await?;
        drop(raw);
        Ok(exit.status as u8)
    }
}
