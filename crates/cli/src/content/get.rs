//! `gantry content get`

use super::{copy, digest};
use crate::Context;
use anyhow::Result;

/// Write a blob to standard output.
#[derive(Debug, clap::Args)]
pub struct Get {
    /// Its digest.
    digest: String,
}

impl Get {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        copy(cx, &digest(&self.digest)?, &mut std::io::stdout()).await?;
        Ok(0)
    }
}
