//! `gantry images remove`

use crate::{Context, context, output};
use anyhow::Result;
use model::images::Delete;

/// Remove images.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Wait until what only they held is gone.
    #[arg(long)]
    sync: bool,
    /// Their names.
    #[arg(required = true)]
    names: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let last = self.names.len() - 1;
        let mut number = 0;
        context::each(&self.names, async |name| {
            // One wait is enough: the collector sees what all of them held.
            let sync = self.sync && number == last;
            number += 1;
            let delete = Delete { name: name.into(), sync, target: None };
            cx.services.images.delete(&cx.scope, delete).await?;
            output::line(name)
        })
        .await
    }
}
