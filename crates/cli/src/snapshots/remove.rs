//! `gantry snapshots remove`

use super::Snapshotter;
use crate::Context;
use anyhow::Result;

/// Remove snapshots.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    of: Snapshotter,
    /// Their keys.
    #[arg(required = true)]
    keys: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let snapshotter = cx.snapshotter(&self.of.snapshotter);
        for key in &self.keys {
            snapshotter.remove(&cx.scope, key).await?;
        }
        Ok(0)
    }
}
