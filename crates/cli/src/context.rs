//! What every verb gets: the services, the scope, and how to print.

use crate::{Output, output};
use anyhow::{Result, bail};
use model::{
    Labels, Scope, Timestamp, containers, content, diff, events, images, leases, namespaces, plugins,
    registries, snapshots, streams, tasks, transfer,
};
use std::sync::Arc;

/// Finds a snapshotter by its name.
pub type ByName = Box<dyn Fn(&str) -> Arc<dyn snapshots::Snapshotter> + Send + Sync>;

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
    /// Registries, without the daemon.
    pub registries: Arc<dyn registries::Registries>,
    /// A snapshotter by its name.
    pub snapshotter: ByName,
}

/// What every verb gets.
pub struct Context {
    /// The daemon.
    pub services: Services,
    /// The namespace.
    pub scope: Scope,
    /// How to print.
    pub output: Output,
    /// The time that new records and layers tell instead of now: `SOURCE_DATE_EPOCH`.
    pub source_date: Option<Timestamp>,
}

impl Context {
    /// A snapshotter by name; empty for overlayfs.
    pub fn snapshotter(&self, name: &str) -> Arc<dyn snapshots::Snapshotter> {
        (self.services.snapshotter)(if name.is_empty() { "overlayfs" } else { name })
    }

    /// Does work of several steps under a fresh lease.
    ///
    /// # Errors
    /// Those of the work; only a lease of work that went well may fail to be given back.
    pub async fn leased<T>(&self, work: impl AsyncFnOnce(&Scope) -> Result<T>) -> Result<T> {
        let scope = self.lease().await?;
        let done = work(&scope).await;
        let released = self.release(&scope).await;
        let done = done?;
        released?;
        Ok(done)
    }

    /// A scope under a fresh lease, which expires after a day.
    pub async fn lease(&self) -> Result<Scope> {
        let expiry = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
        let labels = Labels::from([(model::labels::GC_EXPIRE.into(), expiry.to_string())]);
        let lease = self.services.leases.create(&self.scope, "", labels).await?;
        Ok(self.scope.with_lease(lease.id))
    }

    /// Gives a lease of [`Context::lease`] back; once is enough, twice is no error.
    pub async fn release(&self, scope: &Scope) -> Result<()> {
        let id = scope.lease.clone().unwrap_or_default();
        match self.services.leases.delete(&self.scope, leases::Delete { id, sync: false }).await {
            Err(e) if e.is_not_found() => Ok(()),
            other => Ok(other?),
        }
    }
}

/// Does something to each of several things; the failure of one keeps nothing from the others. The value is the
/// process' exit code.
pub async fn each(names: &[String], mut act: impl AsyncFnMut(&str) -> Result<()>) -> Result<u8> {
    let mut code = 0;
    for name in names {
        if let Err(e) = act(name).await {
            output::complain(&e);
            code = 1;
        }
    }
    Ok(code)
}

/// A part of a name that nobody else has: the time and this process.
pub fn unique() -> String {
    format!("{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id())
}

/// A time as labels have it: RFC 3339 to the second.
pub fn in_seconds(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The label that makes an object a root of its own, so that it stays.
pub fn rooted() -> (String, String) {
    (model::labels::GC_ROOT.into(), in_seconds(jiff::Timestamp::now()))
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
