//! `gantry containers create`

use crate::Context;
use crate::run::Options;
use anyhow::Result;

/// Make a container without running it.
#[derive(Debug, clap::Args)]
pub struct Create {
    #[command(flatten)]
    options: Options,
}

impl Create {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        cx.leased(async |scope| self.options.create(cx, scope).await).await?;
        Ok(0)
    }
}
