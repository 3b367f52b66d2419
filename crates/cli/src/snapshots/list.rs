//! `gantry snapshots list`

use super::word;
use crate::{Context, Output, output};
use anyhow::Result;
use model::snapshots::Snapshotter;
use output::Table;
use serde_json::json;

/// List snapshots.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Filters over `name`, `parent`, `kind` and `labels`.
    filters: Vec<String>,
}

impl List {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let snapshots = snapshots.list(&cx.scope, &self.filters).await?;
        if cx.output == Output::Json {
            let row = |s: &model::snapshots::Info| {
                json!({
                    "name": s.name, "parent": s.parent, "kind": word(s.kind), "labels": s.labels,
                    "createdAt": s.created_at.to_rfc3339(), "updatedAt": s.updated_at.to_rfc3339(),
                })
            };
            output::json(&snapshots.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        let mut table = Table::new(&["KEY", "PARENT", "KIND"]);
        for snapshot in &snapshots {
            table.row([snapshot.name.clone(), snapshot.parent.clone(), word(snapshot.kind).into()]);
        }
        table.print()?;
        Ok(0)
    }
}
