//! `gantry tasks attach`

use super::{io, watch::Watch};
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
        let process = cx.services.tasks.get(&cx.scope, &self.container, "").await?;
        let raw = process.io.terminal.then(terminal::raw).transpose()?;
        let attached = io::attach(&process.io, std::future::ready(()))?;
        let watch = Watch { cx, id: &self.container, exec_id: "", terminal: process.io.terminal };
        let exit = watch.run().await?;
        attached.finish().await?;
        drop(raw);
        Ok(exit.status as u8)
    }
}
