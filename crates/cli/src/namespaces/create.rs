//! `gantry namespaces create`

use crate::Context;
use crate::context::parse_labels;
use anyhow::Result;
use model::namespaces::NamespaceInfo;

/// Make a namespace.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// Its name.
    name: String,
    /// Labels, key=value.
    labels: Vec<String>,
}

impl Create {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let labels = parse_labels(&self.labels)?;
        cx.services.namespaces.create(NamespaceInfo { name: self.name, labels }).await?;
        Ok(0)
    }
}
