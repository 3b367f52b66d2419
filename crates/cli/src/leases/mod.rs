//! `gantry leases`

mod create;
mod list;
mod remove;

use crate::Context;
use anyhow::Result;
use model::leases::Lease;
use serde_json::{Value, json};

/// Work with leases.
#[derive(Debug, clap::Subcommand)]
pub enum Leases {
    /// Make a lease and print its id.
    Create(create::Create),
    /// List leases.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Remove leases.
    #[command(visible_alias = "delete", visible_alias = "del", visible_alias = "rm")]
    Remove(remove::Remove),
}

impl Leases {
    pub(crate) async fn run(self, cx: &Context) -> Result<u8> {
        match self {
            Leases::Create(verb) => verb.run(cx).await,
            Leases::List(verb) => verb.run(cx).await,
            Leases::Remove(verb) => verb.run(cx).await,
        }
    }
}

fn describe(lease: &Lease) -> Value {
    json!({"id": lease.id, "createdAt": lease.created_at.to_rfc3339(), "labels": lease.labels})
}
