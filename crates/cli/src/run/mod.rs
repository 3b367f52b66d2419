//! `gantry run`: a container made, started, watched and, with `--rm` or if nothing came of it, removed.

mod host;
mod options;
mod parse;
mod remap;

pub(crate) use options::{Options, STOP_SIGNAL};

use crate::containers::Snapshot;
use crate::{Context, containers, output, tasks};
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
        let options = self.options.for_run();
        let container = cx.leased(async |scope| options.create(cx, scope).await).await?;
        let ended = match self.start.start(cx, &container).await {
            Ok(ended) if !self.rm => return ended,
            started => started.flatten(),
        };
        match (ended, containers::remove_ended(cx, &container.id, Snapshot::Removed).await) {
            (Ok(code), Ok(())) => Ok(code),
            (Ok(_), Err(e)) => Err(e),
            (Err(first), removed) => {
                removed.unwrap_or_else(|second| output::complain(&second));
                Err(first)
            }
        }
    }
}
