//! `gantry info`

use crate::{Context, output};
use anyhow::Result;
use serde_json::json;

/// Show what the daemon tells about itself.
#[derive(Debug, clap::Args)]
pub struct Info {}

impl Info {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let server = cx.services.introspection.server().await?;
        let deprecations: Vec<_> = server
            .deprecations
            .iter()
            .map(|d| json!({"id": d.id, "message": d.message, "lastOccurrence": d.last_occurrence.to_rfc3339()}))
            .collect();
        output::json(&json!({"server": {
            "uuid": server.uuid, "pid": server.pid, "pidns": server.pidns, "deprecations": deprecations,
        }}))?;
        Ok(0)
    }
}
