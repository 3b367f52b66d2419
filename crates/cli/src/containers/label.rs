//! `gantry containers label`

use crate::context::parse_labels;
use crate::{Context, output};
use anyhow::Result;
use model::Mask;
use model::containers::Container;

/// Set or, with an empty value, clear labels.
#[derive(Debug, clap::Args)]
pub struct Label {
    /// The container.
    container: String,
    /// Labels, key=value.
    labels: Vec<String>,
}

impl Label {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let labels = parse_labels(&self.labels)?;
        let updated = if labels.is_empty() {
            cx.services.containers.get(&cx.scope, &self.container).await?
        } else {
            let mask = Mask(labels.keys().map(|key| format!("labels.{key}")).collect());
            let container = Container { id: self.container, labels, ..Container::default() };
            cx.services.containers.update(&cx.scope, container, mask).await?
        };
        output::line(output::labels(&updated.labels))?;
        Ok(0)
    }
}
