//! `gantry snapshots tree`

use crate::{Context, Output, output};
use anyhow::Result;
use model::snapshots::Snapshotter;
use std::collections::BTreeMap;

/// Show which snapshot stands on which.
#[derive(Debug, clap::Args)]
pub struct Tree {}

impl Tree {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let snapshots = snapshots.list(&cx.scope, &[]).await?;
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for snapshot in &snapshots {
            children.entry(&snapshot.parent).or_default().push(&snapshot.name);
        }
        if cx.output == Output::Json {
            output::json(&children)?;
            return Ok(0);
        }
        let mut waiting: Vec<(usize, &str)> = roots(&children);
        while let Some((depth, name)) = waiting.pop() {
            let indent = "  ".repeat(depth);
            let mark = if depth == 0 { " " } else { "\\_ " };
            output::line(format!("{indent}{mark}{name}"))?;
            let below = children.get(name).into_iter().flatten().rev();
            waiting.extend(below.map(|child| (depth + 1, *child)));
        }
        Ok(0)
    }
}

fn roots<'a>(children: &BTreeMap<&str, Vec<&'a str>>) -> Vec<(usize, &'a str)> {
    children.get("").into_iter().flatten().rev().map(|name| (0, *name)).collect()
}
