//! `gantry images list`

use super::tree;
use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// List images.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print names only.
    #[arg(long, short)]
    quiet: bool,
    /// Filters over `name`, `target.digest`, `target.mediatype` and `labels`.
    filters: Vec<String>,
}

impl List {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let images = cx.services.images.list(&cx.scope, &self.filters).await?;
        if self.quiet && cx.output == Output::Table {
            images.iter().try_for_each(|i| output::line(&i.name))?;
            return Ok(0);
        }
        let mut table = Table::new(&["REF", "TYPE", "DIGEST", "SIZE", "PLATFORMS", "LABELS"]);
        let mut rows = Vec::new();
        for image in &images {
            let platforms = tree::platforms(cx, &image.target).await;
            let size = size(cx, image).await;
            rows.push(json!({
                "name": image.name, "mediaType": image.target.media_type, "digest": image.target.digest,
                "size": size, "platforms": platforms, "labels": image.labels,
            }));
            table.row([
                image.name.clone(),
                image.target.media_type.clone(),
                image.target.digest.clone(),
                size.map_or_else(|| "-".into(), output::binary_size),
                if platforms.is_empty() { "-".into() } else { platforms.join(",") },
                output::labels(&image.labels),
            ]);
        }
        match cx.output {
            Output::Json => output::json(&rows)?,
            Output::Table => table.print()?,
        }
        Ok(0)
    }
}

/// The sum of what the image for this machine is made of, in bytes; `None` where that cannot be said.
async fn size(cx: &Context, image: &model::images::Image) -> Option<i64> {
    let chosen = tree::choose(cx, &image.name, &image.target).await.ok()?;
    let blobs = std::iter::once(&chosen.manifest.config).chain(&chosen.manifest.layers);
    Some(chosen.size + blobs.map(|b| b.size).sum::<i64>())
}
