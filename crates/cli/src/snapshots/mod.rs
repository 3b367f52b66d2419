//! `gantry snapshots`

mod commit;
mod diff;
mod info;
mod label;
mod list;
mod mounts;
mod prepare;
mod remove;
mod tree;
mod unpack;
mod usage;

use crate::Context;
use anyhow::Result;
use model::snapshots::Kind;

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
    /// Make an active snapshot immutable, under a name.
    Commit(commit::Commit),
    /// Write the difference between two snapshots to standard output, as a layer.
    Diff(diff::Diff),
    /// Show what is known of a snapshot.
    Info(info::Info),
    /// Set or, with an empty value, clear labels.
    Label(label::Label),
    /// List snapshots.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Print the commands that mount a snapshot.
    #[command(visible_alias = "m", visible_alias = "mount")]
    Mounts(mounts::Mounts),
    /// Make a writable snapshot.
    Prepare(prepare::Prepare),
    /// Remove snapshots.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
    /// Show which snapshot stands on which.
    Tree(tree::Tree),
    /// Make snapshots of an image's layers.
    Unpack(unpack::Unpack),
    /// Show what snapshots occupy.
    Usage(usage::Usage),
    /// Make a read-only snapshot.
    View(prepare::View),
}

impl Snapshots {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        let snapshots = cx.snapshotter(&self.snapshotter);
        match self.verb {
            Verb::Commit(verb) => verb.run(cx, &*snapshots).await,
            Verb::Diff(verb) => verb.run(cx, &*snapshots).await,
            Verb::Info(verb) => verb.run(cx, &*snapshots).await,
            Verb::Label(verb) => verb.run(cx, &*snapshots).await,
            Verb::List(verb) => verb.run(cx, &*snapshots).await,
            Verb::Mounts(verb) => verb.run(cx, &*snapshots).await,
            Verb::Prepare(verb) => verb.run(cx, &*snapshots).await,
            Verb::Remove(verb) => verb.run(cx, &*snapshots).await,
            Verb::Tree(verb) => verb.run(cx, &*snapshots).await,
            Verb::Unpack(verb) => verb.run(cx, &self.snapshotter).await,
            Verb::Usage(verb) => verb.run(cx, &*snapshots).await,
            Verb::View(verb) => verb.run(cx, &*snapshots).await,
        }
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::View => "View",
        Kind::Active => "Active",
        Kind::Committed => "Committed",
    }
}
