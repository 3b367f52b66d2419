//! `gantry plugins list`

use crate::{Context, Output, output};
use anyhow::Result;
use output::Table;
use serde_json::json;

/// Look at plugins.
#[derive(Debug, clap::Subcommand)]
pub enum Plugins {
    /// List plugins.
    #[command(visible_alias = "ls")]
    List(List),
}

/// List plugins.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Print ids only.
    #[arg(long, short)]
    quiet: bool,
    /// Print what each tells about itself.
    #[arg(long, short)]
    detailed: bool,
    /// Filters over `type` and `id`.
    filters: Vec<String>,
}

impl Plugins {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let Plugins::List(list) = self;
        let plugins = cx.services.introspection.plugins(&list.filters).await?;
        if cx.output == Output::Json {
            let rows: Vec<_> = plugins.iter().map(describe).collect();
            output::json(&rows)?;
            return Ok(0);
        }
        let mut table = Table::wide(&["TYPE", "ID", "PLATFORMS", "STATUS"]);
        for plugin in &plugins {
            if list.quiet {
                output::line(&plugin.id)?;
            } else if list.detailed {
                output::json(&describe(plugin))?;
            }
            table.row([plugin.kind.clone(), plugin.id.clone(), platforms(plugin), status(plugin).into()]);
        }
        if !list.quiet && !list.detailed {
            table.print()?;
        }
        Ok(0)
    }
}

fn platforms(plugin: &model::plugins::Plugin) -> String {
    match plugin.platforms.is_empty() {
        true => "-".into(),
        false => plugin.platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

fn status(plugin: &model::plugins::Plugin) -> &'static str {
    match &plugin.error {
        None => "ok",
        Some(e) if e.text().contains("skip plugin") => "skip",
        Some(_) => "error",
    }
}

fn describe(plugin: &model::plugins::Plugin) -> serde_json::Value {
    json!({
        "type": plugin.kind,
        "id": plugin.id,
        "requires": plugin.requires,
        "platforms": plugin.platforms.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "exports": plugin.exports,
        "capabilities": plugin.capabilities,
        "status": status(plugin),
        "error": plugin.error.as_ref().map(ToString::to_string),
    })
}
