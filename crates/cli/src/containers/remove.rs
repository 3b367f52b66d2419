//! `gantry containers remove`

use super::Snapshot;
use crate::{Context, context};
use anyhow::Result;

/// Remove containers and their snapshots.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Leave the snapshot.
    #[arg(long)]
    keep_snapshot: bool,
    /// Their ids.
    #[arg(required = true)]
    containers: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let snapshot = if self.keep_snapshot { Snapshot::Kept } else { Snapshot::Removed };
        context::each(&self.containers, async |id| super::remove_ended(cx, id, snapshot).await).await
    }
}
