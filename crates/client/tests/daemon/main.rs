//! The client against a daemon: every noun, the same for the real containerd and for gantryd.
//!
//! Against gantryd from the build that `GANTRY_DIST` names, or, with `GANTRY_E2E_DAEMON=containerd`, the one that
//! `cargo xtask compat` built; `cargo xtask test` does both. Needs root.

mod content;
mod errors;
mod records;
mod snapshots;
mod streams;
mod tasks;

use anyhow::{Context as _, Result};
use client::Client;
use e2e::Daemon;
use model::{Namespace, Scope};
use std::time::Duration;

/// A daemon, a connection to it and a namespace.
struct Stage {
    daemon: Daemon,
    client: Client,
    scope: Scope,
}

impl Stage {
    async fn open() -> Result<Self> {
        let daemon = Daemon::start()?;
        let client = Client::connect(&daemon.address(), Duration::from_secs(10)).await?;
        let scope = Scope::new(Namespace::new(daemon.namespace())?);
        Ok(Self { daemon, client, scope })
    }

    /// Stops the daemon and insists that nothing is left. The connection goes on meanwhile, to see it end.
    async fn finish(self) -> Result<()> {
        tokio::task::spawn_blocking(|| self.daemon.finish()).await?
    }

    /// A scope under a fresh lease, so that nothing is collected while a test looks.
    async fn leased(&self) -> Result<Scope> {
        let lease = model::leases::Leases::create(&self.client, &self.scope, "", Default::default()).await?;
        Ok(self.scope.with_lease(lease.id))
    }
}

/// An error where one is expected.
fn refused<T>(answer: model::Result<T>) -> Result<model::Error> {
    answer.err().context("this was to be refused")
}
