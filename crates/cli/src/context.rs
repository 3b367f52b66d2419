//! What every verb gets: the services, the scope, and how to print.

use crate::Output;
use anyhow::{Result, bail};
use model::{
    Any, Labels, Scope, containers, content, diff, events, images, leases, namespaces, plugins, snapshots,
    streams, tasks, transfer,
};
use std::sync::Arc;

/// The services of a daemon.
pub struct Services {
    /// Namespaces.
    pub namespaces: Arc<dyn namespaces::Namespaces>,
    /// Containers.
    pub containers: Arc<dyn containers::Containers>,
    /// Images.
    pub images: Arc<dyn images::Images>,
    /// Content.
    pub content: Arc<dyn content::Content>,
    /// Leases.
    pub leases: Arc<dyn leases::Leases>,
    /// Diffs.
    pub diff: Arc<dyn diff::Diff>,
    /// Events.
    pub events: Arc<dyn events::Events>,
    /// Tasks.
    pub tasks: Arc<dyn tasks::Tasks>,
    /// Transfers.
    pub transfer: Arc<dyn transfer::Transfer>,
    /// Streams.
    pub streams: Arc<dyn streams::Streams>,
    /// Introspection.
    pub introspection: Arc<dyn plugins::Introspection>,
    /// A snapshotter by its name.
    pub snapshotter: Box<dyn Fn(&str) -> Arc<dyn snapshots::Snapshotter> + Send + Sync>,
}

/// Puts payloads into words: supplied by whoever knows the wire.
pub trait Words: Send + Sync {
    /// An event's payload as JSON.
    fn event(&self, event: &Any) -> String;
    /// Task statistics as names and values for a table.
    fn metrics(&self, data: &Any) -> Vec<(String, String)>;
    /// Any known payload as JSON.
    fn json(&self, any: &Any) -> serde_json::Value;
    /// The default options of a runtime, for a container record.
    fn runtime_options(&self, options: &RuncOptions) -> Any;
}

/// The runtime options that have flags.
#[derive(Clone, Debug, Default)]
pub struct RuncOptions {
    /// Another OCI runtime's binary.
    pub binary: String,
    /// Where it keeps its state.
    pub root: String,
    /// Let systemd make the cgroups.
    pub systemd_cgroup: bool,
    /// Do not use pivot_root.
    pub no_pivot: bool,
}

/// What every verb gets.
pub struct Context {
    /// The daemon.
    pub services: Services,
    /// Words for payloads.
    pub words: Box<dyn Words>,
    /// The namespace.
    pub scope: Scope,
    /// How to print.
    pub output: Output,
}

impl Context {
    /// A snapshotter by name; empty for overlayfs.
    pub fn snapshotter(&self, name: &str) -> Arc<dyn snapshots::Snapshotter> {
        (self.services.snapshotter)(if name.is_empty() { "overlayfs" } else { name })
    }

    /// A scope under a fresh lease that expires after a day, for work of several steps.
    pub async fn leased(&self) -> Result<Scope> {
        let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
        let labels = Labels::from([(model::labels::GC_EXPIRE.into(), expiry.to_string())]);
        let lease = self.services.leases.create(&self.scope, "", labels).await?;
        Ok(self.scope.with_lease(lease.id))
    }

    /// Gives a lease of [`Context::leased`] back.
    pub async fn release(&self, scope: &Scope) -> Result<()> {
        if let Some(id) = &scope.lease {
            let delete = leases::Delete { id: id.clone(), sync: false };
            self.services.leases.delete(&self.scope, delete).await?;
        }
        Ok(())
    }
}

/// Reads `key=value` arguments; `key` alone means `true`.
pub fn parse_labels(arguments: &[String]) -> Result<Labels> {
    let mut labels = Labels::new();
    for argument in arguments {
        let (key, value) = argument.split_once('=').unwrap_or((argument, "true"));
        if key.is_empty() {
            bail!("label {argument:?} has no key; write key=value");
        }
        labels.insert(key.into(), value.into());
    }
    Ok(labels)
}
