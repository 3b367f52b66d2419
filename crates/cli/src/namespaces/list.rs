//! `gantry namespaces list`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;

/// List namespaces.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print names only.
    #[arg(long, short)]
    quiet: bool,
}

impl List {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let namespaces = cx.services.namespaces.list().await?;
        if cx.output == Output::Json {
            let rows: Vec<_> =
                namespaces.iter().map(|n| serde_json::json!({"name": n.name, "labels": n.labels})).collect();
            output::json(&rows)?;
            return Ok(0);
        }
        if self.quiet {
            namespaces.iter().try_for_each(|n| output::line(&n.name))?;
            return Ok(0);
        }
        let mut table = Table::new(&["NAME", "LABELS"]);
        for namespace in &namespaces {
            let labels: Vec<_> = namespace.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            table.row([namespace.name.clone(), labels.join(",")]);
        }
        table.print()?;
        Ok(0)
    }
}
