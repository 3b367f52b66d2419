//! `gantry content label`

use super::digest;
use crate::context::parse_labels;
use crate::{Context, output};
use anyhow::Result;
use model::Mask;

/// Set or, with an empty value, clear labels.
#[derive(Debug, clap::Args)]
pub struct Label {
    /// The blob's digest.
    digest: String,
    /// Labels, key=value.
    labels: Vec<String>,
}

impl Label {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let labels = parse_labels(&self.labels)?;
        let content = &cx.services.content;
        let mut info = content.info(&cx.scope, &digest(&self.digest)?).await?;
        if !labels.is_empty() {
            let mask = Mask(labels.keys().map(|key| format!("labels.{key}")).collect());
            info.labels = labels;
            info = content.update(&cx.scope, info, mask).await?;
        }
        output::print_labels(cx.output, &info.labels)?;
        Ok(0)
    }
}
