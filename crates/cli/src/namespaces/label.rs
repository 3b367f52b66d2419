//! `gantry namespaces label`

use crate::Context;
use crate::context::parse_labels;
use anyhow::Result;
use model::Mask;
use model::namespaces::NamespaceInfo;

/// Set or, with an empty value, clear labels.
#[derive(Debug, clap::Args)]
pub struct Label {
    /// The namespace.
    name: String,
    /// Labels, key=value.
    #[arg(required = true)]
    labels: Vec<String>,
}

impl Label {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let labels = parse_labels(&self.labels)?;
        let mask = Mask(labels.keys().map(|key| format!("labels.{key}")).collect());
        cx.services.namespaces.update(NamespaceInfo { name: self.name, labels }, mask).await?;
        Ok(0)
    }
}
