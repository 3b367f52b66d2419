//! `gantry tasks list`

use super::word;
use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// List tasks.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print ids only.
    #[arg(long, short)]
    quiet: bool,
}

impl List {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let tasks = cx.services.tasks.list(&cx.scope).await?;
        if cx.output == Output::Json {
            let row = |t: &model::tasks::Listed| json!({"id": t.process.id, "pid": t.process.pid, "status": word(t.process.status)});
            output::json(&tasks.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        if self.quiet {
            tasks.iter().try_for_each(|t| output::line(&t.process.id))?;
            return Ok(0);
        }
        let mut table = Table::wide(&["TASK", "PID", "STATUS"]);
        for task in &tasks {
            let process = &task.process;
            table.row([process.id.clone(), process.pid.to_string(), word(process.status).into()]);
        }
        table.print()?;
        Ok(0)
    }
}
