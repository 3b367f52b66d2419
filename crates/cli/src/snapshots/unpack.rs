//! `gantry snapshots unpack`

use crate::{Context, Output, content, images, output};
use anyhow::{Context as _, Result};
use serde_json::json;

/// Make snapshots of an image's layers.
#[derive(Debug, clap::Args)]
pub struct Unpack {
    /// Bring every layer to the disk before it gets its name.
    #[arg(long)]
    sync_fs: bool,
    /// The digest an image's name stands for.
    digest: String,
}

impl Unpack {
    pub(crate) async fn run(self, cx: &Context, snapshotter: &str) -> Result<u8> {
        let digest = content::digest(&self.digest)?;
        let filter = format!("target.digest==\"{digest}\"");
        let named = cx.services.images.list(&cx.scope, &[filter]).await?;
        let image = named.into_iter().next().with_context(|| {
            format!("manifest not found: no image has the digest {digest}; `gantry images list` shows them")
        })?;
        let media_type = image.target.media_type;
        let mut wanted = images::Wanted::new(&image.name, snapshotter, None)?;
        wanted.sync_fs = self.sync_fs;
        let unpacked = cx.leased(async |scope| images::unpack(cx, scope, &wanted).await).await?;
        match cx.output {
            Output::Table => output::line(format!("unpacking {digest} ({media_type})...done"))?,
            Output::Json => output::json(&json!({
                "digest": digest.to_string(),
                "mediaType": media_type,
                "chainID": unpacked.chain_id.to_string(),
            }))?,
        }
        Ok(0)
    }
}
