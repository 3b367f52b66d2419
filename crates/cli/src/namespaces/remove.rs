//! `gantry namespaces remove`

use crate::{Context, context, output};
use anyhow::Result;

/// Remove empty namespaces.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Their names.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        context::each(&self.names, async |name| {
            cx.services.namespaces.delete(name).await?;
            output::line(name)
        })
        .await
    }
}
