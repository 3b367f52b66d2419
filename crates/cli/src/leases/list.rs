//! `gantry leases list`

use super::describe;
use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;

/// List leases.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print ids only.
    #[arg(long, short)]
    quiet: bool,
    /// Filters over `id` and `labels`.
    filters: Vec<String>,
}

impl List {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let leases = cx.services.leases.list(&cx.scope, &self.filters).await?;
        if cx.output == Output::Json {
            output::json(&leases.iter().map(describe).collect::<Vec<_>>())?;
            return Ok(0);
        }
        if self.quiet {
            leases.iter().try_for_each(|l| output::line(&l.id))?;
            return Ok(0);
        }
        let mut table = Table::new(&["ID", "CREATED AT", "LABELS"]);
        for lease in &leases {
            table.row([
                lease.id.clone(),
                output::local_time(lease.created_at),
                output::labels(&lease.labels),
            ]);
        }
        table.print()?;
        Ok(0)
    }
}
