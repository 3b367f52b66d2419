//! `gantry images check`

use super::tree;
use crate::{Context, Output, output};
use anyhow::Result;
use model::images::Image;
use output::Table;
use serde_json::json;

/// See which images are whole.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    /// Print the names of whole images only.
    #[arg(long, short)]
    quiet: bool,
    /// Filters over `name`, `target` and `labels`.
    filters: Vec<String>,
}

struct State {
    complete: bool,
    text: String,
    size: String,
    unpacked: bool,
}

impl Check {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let mut table = Table::new(&["REF", "TYPE", "DIGEST", "STATUS", "SIZE", "UNPACKED"]);
        let mut rows = Vec::new();
        for image in cx.services.images.list(&cx.scope, &self.filters).await? {
            let state = self.state(cx, &image).await;
            if self.quiet && state.complete {
                output::line(&image.name)?;
            }
            rows.push(json!({"name": image.name, "status": state.text, "size": state.size, "unpacked": state.unpacked}));
            let target = &image.target;
            let unpacked = state.unpacked.to_string();
            table.row([
                image.name.clone(),
                target.media_type.clone(),
                target.digest.clone(),
                state.text,
                state.size,
                unpacked,
            ]);
        }
        match (cx.output, self.quiet) {
            (Output::Json, _) => output::json(&rows)?,
            (Output::Table, false) => table.print()?,
            (Output::Table, true) => {}
        }
        Ok(0)
    }

    async fn state(&self, cx: &Context, image: &Image) -> State {
        let unknown =
            |text: &str| State { complete: false, text: text.into(), size: "-/?".into(), unpacked: false };
        let Ok(chosen) = tree::choose(cx, &image.name, &image.target).await else {
            return unknown("unavailable (0/?)");
        };
        // The documents that led here are there: they were read.
        let (mut present, mut have) = (1, chosen.size + chosen.manifest.config.size);
        let mut whole = have;
        for layer in &chosen.manifest.layers {
            whole += layer.size;
            if cx.services.content.info(&cx.scope, &layer.digest).await.is_ok() {
                present += 1;
                have += layer.size;
            }
        }
        let required = 1 + chosen.manifest.layers.len();
        let complete = present == required;
        let word = if complete { "complete" } else { "incomplete" };
        let chain = oci::chain_id(&chosen.config.rootfs.diff_ids);
        let unpacked = match chain {
            Some(chain) => cx.snapshotter(&self.snapshotter).stat(&cx.scope, chain.as_ref()).await.is_ok(),
            None => false,
        };
        let size = format!("{}/{}", output::binary_size(have), output::binary_size(whole));
        State { complete, text: format!("{word} ({present}/{required})"), size, unpacked }
    }
}
