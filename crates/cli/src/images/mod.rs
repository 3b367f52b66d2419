//! `gantry images`

mod bars;
mod check;
mod convert;
mod export;
mod hosts;
mod import;
mod inspect;
mod label;
mod list;
mod mount;
pub(crate) mod progress;
mod prune;
mod pull;
mod push;
pub(crate) mod registry;
mod remove;
mod tag;
mod tree;
mod uncompress;
mod unpack;
mod usage;

pub(crate) use unpack::{Unpacked, Wanted, unpack};

use crate::Context;
use anyhow::{Context as _, Result, anyhow};

/// Work with images.
#[derive(Debug, clap::Subcommand)]
pub enum Images {
    /// See which images are whole.
    Check(check::Check),
    /// Make another form of an image.
    Convert(convert::Convert),
    /// Write images to an archive.
    Export(export::Export),
    /// Read images from an archive.
    Import(import::Import),
    /// Show an image and everything below it.
    #[command(visible_alias = "i")]
    Inspect(inspect::Inspect),
    /// Label an image.
    Label(label::Label),
    /// List images.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Mount an image's root file system on a directory.
    Mount(mount::Mount),
    /// Unmount what `mount` mounted.
    Unmount(mount::Unmount),
    /// Remove every image that no container is made from.
    Prune(prune::Prune),
    /// Bring an image from a registry, and unpack it.
    Pull(pull::Pull),
    /// Bring an image to a registry.
    Push(push::Push),
    /// Remove images.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
    /// Give an image further names.
    Tag(tag::Tag),
    /// Show what an image's snapshots occupy.
    Usage(usage::Usage),
}

impl Images {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Images::Check(verb) => verb.run(cx).await,
            Images::Convert(verb) => verb.run(cx).await,
            Images::Export(verb) => verb.run(cx).await,
            Images::Import(verb) => verb.run(cx).await,
            Images::Inspect(verb) => verb.run(cx).await,
            Images::Label(verb) => verb.run(cx).await,
            Images::List(verb) => verb.run(cx).await,
            Images::Mount(verb) => verb.run(cx).await,
            Images::Unmount(verb) => verb.run(cx).await,
            Images::Prune(verb) => verb.run(cx).await,
            Images::Pull(verb) => verb.run(cx).await,
            Images::Push(verb) => verb.run(cx).await,
            Images::Remove(verb) => verb.run(cx).await,
            Images::Tag(verb) => verb.run(cx).await,
            Images::Usage(verb) => verb.run(cx).await,
        }
    }
}

/// Does work that holds something, a lease perhaps, until the user presses Ctrl-C: then it fails, and what it held is
/// given back.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        done = work => done,
        pressed = tokio::signal::ctrl_c() => {
            pressed.context("wait for Ctrl-C")?;
            Err(anyhow!("interrupted"))
        }
    }
}

/// A name for a stream that nobody else has.
pub(crate) fn stream_id(prefix: &str) -> String {
    format!("{prefix}-{}", crate::context::unique())
}
