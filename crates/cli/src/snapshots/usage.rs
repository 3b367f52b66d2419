//! `gantry snapshots usage`

use crate::{Context, Output, output};
use anyhow::Result;
use model::snapshots::Snapshotter;
use output::Table;
use serde_json::json;

/// Show what snapshots occupy, each without its parents.
#[derive(Debug, clap::Args)]
pub struct Usage {
    /// Print sizes in bytes.
    #[arg(short)]
    bytes: bool,
    /// Their keys; all by default.
    keys: Vec<String>,
}

impl Usage {
    pub(crate) async fn run(mut self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        if self.keys.is_empty() {
            let all = snapshots.list(&cx.scope, &[]).await?;
            self.keys = all.into_iter().map(|snapshot| snapshot.name).collect();
        }
        let mut table = Table::new(&["KEY", "SIZE", "INODES"]);
        let mut rows = Vec::new();
        for key in self.keys {
            let usage = snapshots.usage(&cx.scope, &key).await?;
            rows.push(json!({"key": key, "size": usage.size, "inodes": usage.inodes}));
            let size = if self.bytes { usage.size.to_string() } else { output::binary_size(usage.size) };
            table.row([key, size, usage.inodes.to_string()]);
        }
        match cx.output {
            Output::Table => table.print()?,
            Output::Json => output::json(&rows)?,
        }
        Ok(0)
    }
}
