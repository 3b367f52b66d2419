//! `gantry snapshots`

mod list;
mod remove;
mod tree;

use crate::Context;
use anyhow::Result;

/// Work with snapshots.
#[derive(Debug, clap::Args)]
pub struct Snapshots {
    /// The snapshotter's name.
    #[arg(long, global = true, env = "CONTAINERD_SNAPSHOTTER", default_value = "overlayfs")]
    snapshotter: String,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// List snapshots.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Remove snapshots.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
    /// Show which snapshot stands on which.
    Tree(tree::Tree),
}

impl Snapshots {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let snapshots = cx.snapshotter(&self.snapshotter);
        match self.verb {
            Verb::List(verb) => verb.run(cx, &*snapshots).await,
            Verb::Remove(verb) => verb.run(cx, &*snapshots).await,
            Verb::Tree(verb) => verb.run(cx, &*snapshots).await,
        }
    }
}
