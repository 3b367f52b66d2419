//! `gantry leases remove`

use crate::{Context, context, output};
use anyhow::Result;
use model::leases::Delete;

/// Remove leases.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// Wait until what only they held is gone.
    #[arg(long)]
    sync: bool,
    /// Their ids.
    #[arg(required = true)]
    ids: Vec<String>,
}

impl Remove {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let last = self.ids.len() - 1;
        let mut number = 0;
        context::each(&self.ids, async |id| {
            // One wait is enough: the collector sees what all of them held.
            let sync = self.sync && number == last;
            number += 1;
            cx.services.leases.delete(&cx.scope, Delete { id: id.into(), sync }).await?;
            output::line(id)
        })
        .await
    }
}
