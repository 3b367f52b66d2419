//! `gantry snapshots unpack`

use crate::{Context, Output, content, images, output};
use anyhow::{Context as _, Result, ensure};
use serde_json::json;

/// Make snapshots of an image's layers.
#[derive(Debug, clap::Args)]
pub struct Unpack {
    /// Not offered: the daemon's configuration says it.
    #[arg(long, hide = true)]
    sync_fs: bool,
    /// The digest an image's name stands for.
    digest: String,
}

impl Unpack {
    pub(crate) async fn run(self, cx: &Context, snapshotter: &str) -> Result<u8> {
        ensure!(!self.sync_fs, "--sync-fs is not offered: the daemon's configuration says it");
        let digest = content::digest(&self.digest)?;
        let filter = format!("target.digest==\"{digest}\"");
        let named = cx.services.images.list(&cx.scope, &[filter]).await?;
        let image = named.into_iter().next().with_context(|| {
            format!("manifest not found: no image has the digest {digest}; `gantry images list` shows them")
        })?;
        let media_type = image.target.media_type;
        let unpacked =
            cx.leased(async |scope| images::unpack(cx, scope, &image.name, snapshotter).await).await?;
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
