//! `gantry namespaces`

mod create;
mod label;
mod list;
mod remove;

use crate::Context;
use anyhow::Result;

/// Work with namespaces.
#[derive(Debug, clap::Subcommand)]
pub enum Namespaces {
    /// Make a namespace.
    #[command(visible_alias = "c")]
    Create(create::Create),
    /// List namespaces.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Remove empty namespaces.
    #[command(visible_alias = "rm")]
    Remove(remove::Remove),
    /// Set or, with an empty value, clear labels.
    Label(label::Label),
}

impl Namespaces {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Namespaces::Create(verb) => verb.run(cx).await,
            Namespaces::List(verb) => verb.run(cx).await,
            Namespaces::Remove(verb) => verb.run(cx).await,
            Namespaces::Label(verb) => verb.run(cx).await,
        }
    }
}
