//! `gantry tasks pause` and `gantry tasks resume`

use crate::Context;
use anyhow::Result;

/// Freeze a task.
#[derive(Debug, clap::Args)]
pub struct Pause {
    /// The container.
    container: String,
}

/// Thaw a task.
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// The container.
    container: String,
}

impl Pause {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        cx.services.tasks.pause(&cx.scope, &self.container).await?;
        Ok(0)
    }
}

impl Resume {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        cx.services.tasks.resume(&cx.scope, &self.container).await?;
        Ok(0)
    }
}
