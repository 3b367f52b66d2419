//! `gantry run`: a container made, started, watched and, with `--rm`, removed.

mod options;

pub use options::Options;

use crate::{Context, containers, tasks};
use anyhow::Result;

/// Run a container.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// Remove the container when it has ended.
    #[arg(long)]
    rm: bool,
    #[command(flatten)]
    start: tasks::StartOptions,
    #[command(flatten)]
    options: Options,
}

impl Run {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        anyhow::ensure!(
            !(self.rm && self.start.detach),
            "flags --detach and --rm cannot be specified together"
        );
        let scope = cx.leased().await?;
        let created = self.options.create(cx, &scope).await;
        cx.release(&scope).await?;
        let container = created?;
        let ended = self.start.start(cx, &container).await;
        if self.rm || ended.is_err() {
            containers::remove(cx, &container).await?;
        }
        ended
    }
}
