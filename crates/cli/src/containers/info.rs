//! `gantry containers info`

use crate::{Context, output};
use anyhow::Result;
use serde_json::json;

/// Show a container's record.
#[derive(Debug, clap::Args)]
pub struct Info {
    /// Its id.
    container: String,
    /// Only the OCI spec.
    #[arg(long)]
    spec: bool,
}

impl Info {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let c = cx.services.containers.get(&cx.scope, &self.container).await?;
        let any = |any: &Option<model::Any>| any.as_ref().map(client::words::json);
        if self.spec {
            output::json(&any(&c.spec))?;
            return Ok(0);
        }
        let extensions: serde_json::Map<_, _> =
            c.extensions.iter().map(|(name, value)| (name.clone(), client::words::json(value))).collect();
        output::json(&json!({
            "ID": c.id,
            "Labels": c.labels,
            "Image": c.image,
            "Runtime": {"Name": c.runtime.name, "Options": any(&c.runtime.options)},
            "SnapshotKey": c.snapshot_key,
            "Snapshotter": c.snapshotter,
            "CreatedAt": c.created_at.to_rfc3339(),
            "UpdatedAt": c.updated_at.to_rfc3339(),
            "Extensions": extensions,
            "SandboxID": c.sandbox,
            "Spec": any(&c.spec),
        }))?;
        Ok(0)
    }
}
