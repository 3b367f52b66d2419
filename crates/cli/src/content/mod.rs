//! `gantry content`

mod active;
mod edit;
mod fetch;
mod get;
mod ingest;
mod label;
mod list;
mod prune;
mod remote;
mod remove;
mod store;

pub(crate) use store::{copy, digest, read};

use crate::Context;
use anyhow::Result;

/// Work with content.
#[derive(Debug, clap::Subcommand)]
pub enum Content {
    /// List what is being written.
    Active(active::Active),
    /// Edit a blob and print the digest of what it became.
    Edit(edit::Edit),
    /// Bring an image's content from a registry and leave it packed.
    Fetch(fetch::Fetch),
    /// Write blobs of a repository to standard output.
    FetchBlob(remote::FetchBlob),
    /// Write what a reference stands for to standard output.
    FetchObject(remote::FetchObject),
    /// Write a blob to standard output.
    Get(get::Get),
    /// Make a blob of standard input.
    Ingest(ingest::Ingest),
    /// Set or, with an empty value, clear labels.
    Label(label::Label),
    /// List blobs.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Give up content that is not needed.
    #[command(subcommand)]
    Prune(prune::Prune),
    /// Bring an object to a registry.
    PushObject(remote::PushObject),
    /// Remove blobs.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
}

impl Content {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Content::Active(verb) => verb.run(cx).await,
            Content::Edit(verb) => verb.run(cx).await,
            Content::Fetch(verb) => verb.run(cx).await,
            Content::FetchBlob(verb) => verb.run(cx).await,
            Content::FetchObject(verb) => verb.run(cx).await,
            Content::Get(verb) => verb.run(cx).await,
            Content::Ingest(verb) => verb.run(cx).await,
            Content::Label(verb) => verb.run(cx).await,
            Content::List(verb) => verb.run(cx).await,
            Content::Prune(verb) => verb.run(cx).await,
            Content::PushObject(verb) => verb.run(cx).await,
            Content::Remove(verb) => verb.run(cx).await,
        }
    }
}
