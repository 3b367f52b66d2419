//! `gantry version`

use crate::{Context, Output, output};
use anyhow::Result;

/// Show the versions of client and daemon.
#[derive(Debug, clap::Args)]
pub struct Version {}

impl Version {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let (version, revision) = cx.services.introspection.version().await?;
        let server = cx.services.introspection.server().await?;
        let client = env!("CARGO_PKG_VERSION");
        if cx.output == Output::Json {
            output::json(&serde_json::json!({
                "client": {"version": client},
                "server": {"version": version, "revision": revision, "uuid": server.uuid},
            }))?;
            return Ok(0);
        }
        output::print(&format!(
            "Client:\n  Version:  {client}\n\nServer:\n  Version:  {version}\n  Revision: {revision}\n  UUID: {}\n",
            server.uuid
        ))?;
        Ok(0)
    }
}
