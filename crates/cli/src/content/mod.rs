//! `gantry content`

mod get;
mod list;

use crate::Context;
use anyhow::Result;

/// Work with content.
#[derive(Debug, clap::Subcommand)]
pub enum Content {
    /// Write a blob to standard output.
    Get(get::Get),
    /// List blobs.
    #[command(visible_alias = "ls")]
    List(list::List),
}

impl Content {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Content::Get(verb) => verb.run(cx).await,
            Content::List(verb) => verb.run(cx).await,
        }
    }
}

/// A small blob, whole.
///
/// # Errors
/// It is not there, or larger than `max` bytes.
pub(crate) async fn read(cx: &Context, digest: &oci::Digest, max: u64) -> Result<Vec<u8>> {
    let reader = cx.services.content.reader(&cx.scope, digest).await?;
    anyhow::ensure!(reader.size() <= max, "blob {digest} has {} bytes, more than {max}", reader.size());
    let mut bytes = Vec::with_capacity(reader.size() as usize);
    while (bytes.len() as u64) < reader.size() {
        let part = reader.read_at(bytes.len() as u64, 1 << 20).await?;
        anyhow::ensure!(
            !part.is_empty(),
            "blob {digest} ends after {} of {} bytes",
            bytes.len(),
            reader.size()
        );
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}
