//! `gantry leases`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// Work with leases.
#[derive(Debug, clap::Subcommand)]
pub enum Leases {
    /// List leases.
    #[command(visible_alias = "ls")]
    List(List),
}

/// List leases.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print ids only.
    #[arg(long, short)]
    quiet: bool,
    /// Filters over `id` and `labels`.
    filters: Vec<String>,
}

impl Leases {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let Leases::List(list) = self;
        let leases = cx.services.leases.list(&cx.scope, &list.filters).await?;
        if cx.output == Output::Json {
            let row = |l: &model::leases::Lease| json!({"id": l.id, "createdAt": l.created_at.to_rfc3339(), "labels": l.labels});
            output::json(&leases.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        if list.quiet {
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
