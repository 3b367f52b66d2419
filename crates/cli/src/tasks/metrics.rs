//! `gantry tasks metrics`

use crate::{Context, Output, output};
use anyhow::{Result, bail};
use output::Table;

/// Show a task's statistics.
#[derive(Debug, clap::Args)]
pub struct Metrics {
    /// How to print: table or json.
    #[arg(long, value_enum)]
    format: Option<Output>,
    /// The container.
    container: String,
}

impl Metrics {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        cx.services.tasks.get(&cx.scope, &self.container, "").await?;
        let metrics = cx.services.tasks.metrics(&cx.scope, &[format!("id=={}", self.container)]).await?;
        let Some(metric) = metrics.into_iter().next() else {
            bail!("task {} has no statistics", self.container);
        };
        let Some(data) = &metric.data else { bail!("task {} sent statistics without data", self.container) };
        if self.format.unwrap_or(cx.output) == Output::Json {
            output::json(&client::words::json(data))?;
            return Ok(0);
        }
        let mut head = Table::wide(&["ID", "TIMESTAMP"]);
        head.row([metric.id.clone(), metric.timestamp.to_rfc3339()]);
        head.print()?;
        output::line("")?;
        let mut table = Table::wide(&["METRIC", "VALUE"]);
        for (name, value) in client::words::metrics(data) {
            table.row([name.into(), value]);
        }
        table.print()?;
        Ok(0)
    }
}
