//! `gantry tasks ps`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// List a task's processes.
#[derive(Debug, clap::Args)]
pub struct Ps {
    /// The container.
    container: String,
}

impl Ps {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let pids = cx.services.tasks.pids(&cx.scope, &self.container).await?;
        let info = |p: &model::tasks::Pid| p.info.as_ref().map(client::words::json);
        if cx.output == Output::Json {
            output::json(&pids.iter().map(|p| json!({"pid": p.pid, "info": info(p)})).collect::<Vec<_>>())?;
            return Ok(0);
        }
        let mut table = Table::wide(&["PID", "INFO"]);
        for pid in &pids {
            table.row([pid.pid.to_string(), info(pid).map_or_else(|| "-".into(), |v| v.to_string())]);
        }
        table.print()?;
        Ok(0)
    }
}
