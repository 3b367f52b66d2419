//! `gantry snapshots info`

use super::word;
use crate::{Context, output};
use anyhow::Result;
use model::Labels;
use model::snapshots::Snapshotter;

/// Show what is known of a snapshot.
#[derive(Debug, clap::Args)]
pub struct Info {
    /// Its key.
    key: String,
}

/// A snapshot in `ctr`'s JSON.
#[derive(serde::Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    kind: &'static str,
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    parent: String,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    created: String,
    updated: String,
}

impl Info {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let found = snapshots.stat(&cx.scope, &self.key).await?;
        output::json(&Shown {
            kind: word(found.kind),
            name: found.name,
            parent: found.parent,
            labels: found.labels,
            created: found.created_at.to_rfc3339(),
            updated: found.updated_at.to_rfc3339(),
        })?;
        Ok(0)
    }
}
