//! `gantry snapshots prepare` and `gantry snapshots view`

use super::mounts::{print_commands, print_json};
use crate::{Context, Output, context};
use anyhow::Result;
use model::snapshots::{self, Snapshotter};
use model::{Labels, Mount};

/// Make a writable snapshot.
#[derive(Debug, clap::Args)]
pub struct Prepare {
    #[command(flatten)]
    wanted: Wanted,
}

/// Make a read-only snapshot.
#[derive(Debug, clap::Args)]
pub struct View {
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Debug, clap::Args)]
#[group(skip)]
struct Wanted {
    /// Print the commands that mount it on this directory.
    #[arg(long, short, conflicts_with = "mounts")]
    target: Option<String>,
    /// Print its mounts as JSON.
    #[arg(long)]
    mounts: bool,
    /// The new snapshot's key.
    key: String,
    /// The committed snapshot it stands on; none for an empty one.
    #[arg(default_value = "", hide_default_value = true)]
    parent: String,
}

impl Prepare {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let request = self.wanted.request(Labels::from([context::rooted()]));
        let mounts = snapshots.prepare(&cx.scope, request).await?;
        self.wanted.print(cx, &mounts)
    }
}

impl View {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let mounts = snapshots.view(&cx.scope, self.wanted.request(Labels::new())).await?;
        self.wanted.print(cx, &mounts)
    }
}

impl Wanted {
    fn request(&self, labels: Labels) -> snapshots::Prepare {
        snapshots::Prepare { key: self.key.clone(), parent: self.parent.clone(), labels }
    }

    fn print(&self, cx: &Context, mounts: &[Mount]) -> Result<u8> {
        match &self.target {
            Some(target) => print_commands(mounts, target)?,
            None if self.mounts || cx.output == Output::Json => print_json(mounts)?,
            None => {}
        }
        Ok(0)
    }
}
