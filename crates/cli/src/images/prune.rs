//! `gantry images prune`

use crate::{Context, output};
use anyhow::Result;
use model::images::Delete;
use std::collections::HashSet;

/// Remove every image that no container is made from.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// Do it; without this flag nothing is removed.
    #[arg(long)]
    all: bool,
}

impl Prune {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        if !self.all {
            eprintln!(
                "gantry: warning: no image was removed; `gantry images prune --all` removes those in no use"
            );
            return Ok(0);
        }
        let containers = cx.services.containers.list(&cx.scope, &[]).await?;
        let used: HashSet<String> = containers.into_iter().map(|container| container.image).collect();
        let mut unused = cx.services.images.list(&cx.scope, &[]).await?;
        unused.retain(|image| !used.contains(&image.name));
        let mut left = unused.len();
        for image in unused {
            left -= 1;
            // One wait is enough: the collector sees what all of them held. A name that means another image by now stays.
            let delete = Delete { name: image.name.clone(), sync: left == 0, target: Some(image.target) };
            match cx.services.images.delete(&cx.scope, delete).await {
                Err(e) if e.is_not_found() => {}
                other => {
                    other?;
                    output::line(image.name)?;
                }
            }
        }
        Ok(0)
    }
}
