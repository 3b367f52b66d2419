//! `gantry images usage`

use super::tree;
use crate::{Context, Output, output};
use anyhow::{Result, bail};
use output::Table;
use serde_json::json;

/// Show what an image's snapshots occupy, each without its parents.
#[derive(Debug, clap::Args)]
pub struct Usage {
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// The image.
    reference: String,
}

impl Usage {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let image = cx.services.images.get(&cx.scope, &self.reference).await?;
        let chosen = tree::choose(cx, &self.reference, &image.target).await?;
        let snapshots = cx.snapshotter(&self.snapshotter);
        let mut table = Table::new(&["KEY", "SIZE", "INODES"]);
        let mut rows = Vec::new();
        let chain = oci::chain_ids(&chosen.config.rootfs.diff_ids);
        for key in chain.iter().rev().map(oci::Digest::to_string) {
            let usage = match snapshots.usage(&cx.scope, &key).await {
                Err(e) if e.is_not_found() => {
                    bail!("image {} isn't unpacked in snapshotter {}", self.reference, self.snapshotter)
                }
                other => other?,
            };
            rows.push(json!({"key": key, "size": usage.size, "inodes": usage.inodes}));
            table.row([key, output::binary_size(usage.size), usage.inodes.to_string()]);
        }
        match cx.output {
            Output::Table => table.print()?,
            Output::Json => output::json(&rows)?,
        }
        Ok(0)
    }
}
