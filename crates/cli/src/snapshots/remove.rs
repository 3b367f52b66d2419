//! `gantry snapshots remove`

use crate::{Context, context};
use anyhow::{Context as _, Result};
use model::snapshots::Snapshotter;

/// Remove snapshots.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Their keys.
    #[arg(required = true)]
    keys: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        context::each(&self.keys, async |key| {
            snapshots.remove(&cx.scope, key).await.with_context(|| format!("remove snapshot {key:?}"))
        })
        .await
    }
}
