//! `gantry namespaces remove`

use crate::{Context, output};
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
        for name in &self.names {
            cx.services.namespaces.delete(name).await?;
            output::line(name)?;
        }
        Ok(0)
    }
}
