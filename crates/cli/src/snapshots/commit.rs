//! `gantry snapshots commit`

use crate::{Context, context};
use anyhow::Result;
use model::Labels;
use model::snapshots::{self, Snapshotter};

/// Make an active snapshot immutable, under a name.
#[derive(Debug, clap::Args)]
pub struct Commit {
    /// The name it gets.
    key: String,
    /// The active snapshot's key.
    active: String,
}

impl Commit {
    pub(crate) async fn run(self, cx: &Context, snapshots: &dyn Snapshotter) -> Result<u8> {
        let labels = Labels::from([context::rooted()]);
        let commit = snapshots::Commit { name: self.key, key: self.active, labels, parent: String::new() };
        snapshots.commit(&cx.scope, commit).await?;
        Ok(0)
    }
}
