//! `gantry snapshots label`

use crate::context::parse_labels;
use crate::{Context, output};
use anyhow::Result;
use model::Mask;
use model::snapshots::Snapshotter;

/// Set or, with an empty value, clear labels.
#[derive(Debug, clap::Args)]
pub struct Label {
    /// The snapshot's key.
    key: String,
    /// Labels, key=value.
    labels: Vec<String>,
}

impl Label {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let labels = parse_labels(&self.labels)?;
        let mut info = snapshots.stat(&cx.scope, &self.key).await?;
        if !labels.is_empty() {
            let mask = Mask(labels.keys().map(|key| format!("labels.{key}")).collect());
            info.labels = labels;
            info = snapshots.update(&cx.scope, info, mask).await?;
        }
        output::print_labels(cx.output, &info.labels)?;
        Ok(0)
    }
}
