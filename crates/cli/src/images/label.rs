//! `gantry images label`

use crate::context::parse_labels;
use crate::{Context, output};
use anyhow::{Context as _, Result};
use model::images::{Image, Target, Update};
use model::{Mask, Timestamp};

/// Set or, with an empty value, clear labels; print those that are set then.
#[derive(Debug, clap::Args)]
pub struct Label {
    /// These labels and no others.
    #[arg(long, short)]
    replace_all: bool,
    /// The image.
    name: String,
    /// Labels, key=value.
    labels: Vec<String>,
}

impl Label {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let labels = parse_labels(&self.labels)?;
        let images = &cx.services.images;
        let labelled = if labels.is_empty() && !self.replace_all {
            images.get(&cx.scope, &self.name).await?
        } else {
            let mask = match self.replace_all {
                true => vec!["labels".into()],
                false => labels.keys().map(|key| format!("labels.{key}")).collect(),
            };
            let image = Image {
                name: self.name.clone(),
                labels,
                target: Target::default(),
                created_at: Timestamp::NEVER,
                updated_at: Timestamp::NEVER,
            };
            let update = Update { image, mask: Mask(mask), source_date: cx.source_date };
            images.update(&cx.scope, update).await.with_context(|| format!("label {}", self.name))?
        };
        output::print_labels(cx.output, &labelled.labels)?;
        Ok(0)
    }
}
