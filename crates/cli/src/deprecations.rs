//! `gantry deprecations`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// See what is in use and will go away.
#[derive(Debug, clap::Subcommand)]
pub enum Deprecations {
    /// List what is in use and will go away.
    List(List),
}

/// List what is in use and will go away.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The same as --output, in ctr's words: default or json.
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Default,
    Json,
}

impl Deprecations {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let Deprecations::List(list) = self;
        let deprecations = cx.services.introspection.server().await?.deprecations;
        if list.format == Some(Format::Json) || (list.format.is_none() && cx.output == Output::Json) {
            let row = |d: &model::plugins::Deprecation| json!({"id": d.id, "message": d.message, "lastOccurrence": d.last_occurrence.to_rfc3339()});
            output::json(&deprecations.iter().map(row).collect::<Vec<_>>())?;
            return Ok(0);
        }
        if deprecations.is_empty() {
            return Ok(0);
        }
        let mut table = Table::wide(&["ID", "LAST OCCURRENCE", "MESSAGE"]);
        for d in deprecations {
            table.row([d.id, d.last_occurrence.to_rfc3339(), d.message]);
        }
        table.print()?;
        Ok(0)
    }
}
