//! `gantry content get`

use crate::Context;
use anyhow::Result;
use std::io::Write;

/// Write a blob to standard output.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// Its digest.
    digest: String,
}

impl Get {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let digest =
            oci::Digest::parse(&self.digest).map_err(|e| anyhow::anyhow!("{:?}: {e}", self.digest))?;
        let reader = cx.services.content.reader(&cx.scope, &digest).await?;
        let mut offset = 0;
        while offset < reader.size() {
            let part = reader.read_at(offset, 1 << 20).await?;
            anyhow::ensure!(!part.is_empty(), "blob {digest} ends after {offset} of {} bytes", reader.size());
            std::io::stdout().write_all(&part)?;
            offset += part.len() as u64;
        }
        Ok(0)
    }
}
