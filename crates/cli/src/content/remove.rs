//! `gantry content remove`

use super::digest;
use crate::{Context, context, output};
use anyhow::{Context as _, Result};

/// Remove blobs and print the digests of those that were there.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Their digests.
    #[arg(required = true)]
    digests: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        context::each(&self.digests, async |text| {
            match cx.services.content.delete(&cx.scope, &digest(text)?).await {
                Err(e) if e.is_not_found() => Ok(()),
                other => {
                    other.with_context(|| format!("remove blob {text}"))?;
                    output::line(text)
                }
            }
        })
        .await
    }
}
