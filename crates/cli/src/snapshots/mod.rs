//! `gantry snapshots`

mod list;
mod remove;
mod tree;

use crate::Context;
use anyhow::Result;

/// Work with snapshots.
#[derive(Debug, clap::Subcommand)]
pub enum Snapshots {
    /// List snapshots.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Remove snapshots.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
    /// Show which snapshot stands on which.
    Tree(tree::Tree),
}

/// Which snapshotter a verb works on.
#[derive(Debug, clap::Args)]
pub struct Snapshotter {
    /// The snapshotter's name.
    #[arg(long, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    pub snapshotter: String,
}

impl Snapshots {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Snapshots::List(verb) => verb.run(cx).await,
            Snapshots::Remove(verb) => verb.run(cx).await,
            Snapshots::Tree(verb) => verb.run(cx).await,
        }
    }
}
