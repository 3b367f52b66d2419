//! `gantry content list`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// List blobs.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print digests only.
    #[arg(long, short)]
    quiet: bool,
    /// Filters over `digest` and `labels`.
    filters: Vec<String>,
}

impl List {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let blobs = cx.services.content.list(&cx.scope, &self.filters).await?;
        if cx.output == Output::Json {
            let row = |b: &model::content::Info| json!({"digest": b.digest.to_string(), "size": b.size, "createdAt": b.created_at.to_rfc3339(), "labels": b.labels});
            output::json(&blobs.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        if self.quiet {
            blobs.iter().try_for_each(|b| output::line(&b.digest))?;
            return Ok(0);
        }
        let mut table = Table::new(&["DIGEST", "SIZE", "AGE", "LABELS"]);
        for blob in &blobs {
            let size = output::decimal_size(blob.size as i64);
            table.row([
                blob.digest.to_string(),
                size,
                output::age(blob.created_at),
                output::labels(&blob.labels),
            ]);
        }
        table.print()?;
        Ok(0)
    }
}
