//! `gantry content active`

use crate::{Context, Output, output};
use anyhow::Result;
use model::content::Status;
use output::Table;
use serde_json::json;

/// List what is being written.
#[derive(Debug, clap::Args)]
pub struct Active {
    /// Has no effect: the daemon has a store.
    #[arg(long = "root", hide = true)]
    _root: Option<String>,
    /// Filters over `ref`.
    filters: Vec<String>,
}

impl Active {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let ingests = cx.services.content.statuses(&cx.scope, &self.filters).await?;
        if cx.output == Output::Json {
            let row = |i: &Status| {
                json!({
                    "ref": i.reference, "offset": i.offset, "total": i.total, "expected": i.expected,
                    "startedAt": i.started_at.to_rfc3339(), "updatedAt": i.updated_at.to_rfc3339(),
                })
            };
            output::json(&ingests.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        let mut table = Table::new(&["REF", "SIZE", "AGE"]);
        for ingest in ingests {
            let size = output::decimal_size(ingest.offset.cast_signed());
            table.row([ingest.reference, size, output::age(ingest.started_at)]);
        }
        table.print()?;
        Ok(0)
    }
}
