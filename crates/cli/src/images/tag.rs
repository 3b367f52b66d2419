//! `gantry images tag`

use crate::{Context, output};
use anyhow::{Result, ensure};
use model::images::{Image, Update};
use model::{Mask, Timestamp};

/// Give an image further names.
#[derive(Debug, clap::Args)]
pub struct Tag {
    /// Replace names that exist.
    #[arg(long)]
    force: bool,
    /// Has no effect: it is always done so.
    #[arg(long, hide = true)]
    local: bool,
    /// Take any text for a name.
    #[arg(long)]
    skip_reference_check: bool,
    /// The image.
    source: String,
    /// The further names.
    #[arg(required = true)]
    targets: Vec<String>,
}

impl Tag {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let source = cx.services.images.get(&cx.scope, &self.source).await?;
        for name in &self.targets {
            ensure!(
                self.skip_reference_check || oci::Reference::parse(name).is_ok(),
                "{name:?} is no reference; write host/name:tag, or pass --skip-reference-check"
            );
            let (created_at, updated_at) = (Timestamp::NEVER, Timestamp::NEVER);
            let image = Image {
                name: name.clone(),
                labels: source.labels.clone(),
                target: source.target.clone(),
                created_at,
                updated_at,
            };
            match cx.services.images.create(&cx.scope, image.clone(), cx.source_date).await {
                Err(e) if e.is_already_exists() && self.force => {
                    let update = Update { image, mask: Mask::default(), source_date: cx.source_date };
                    cx.services.images.update(&cx.scope, update).await?;
                }
                other => {
                    other?;
                }
            }
            output::line(name)?;
        }
        Ok(0)
    }
}
