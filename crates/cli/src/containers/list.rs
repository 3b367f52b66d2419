//! `gantry containers list`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// List containers.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print ids only.
    #[arg(long, short)]
    quiet: bool,
    /// Filters over `id`, `image`, `runtime.name` and `labels`.
    filters: Vec<String>,
}

impl List {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let containers = cx.services.containers.list(&cx.scope, &self.filters).await?;
        if cx.output == Output::Json {
            let row = |c: &model::containers::Container| {
                json!({
                    "id": c.id, "image": c.image, "runtime": c.runtime.name, "snapshotter": c.snapshotter,
                    "snapshotKey": c.snapshot_key, "labels": c.labels, "createdAt": c.created_at.to_rfc3339(),
                })
            };
            output::json(&containers.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        if self.quiet {
            containers.iter().try_for_each(|c| output::line(&c.id))?;
            return Ok(0);
        }
        let mut table = Table::wide(&["CONTAINER", "IMAGE", "RUNTIME"]);
        for c in &containers {
            let image = if c.image.is_empty() { "-" } else { &c.image };
            table.row([c.id.clone(), image.into(), c.runtime.name.clone()]);
        }
        table.print()?;
        Ok(0)
    }
}
