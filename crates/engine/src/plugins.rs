//! Plugins: what introspection tells about the daemon.
//!
//! What containerd calls plugins is mostly plain code here. Clients still look for it under containerd's names, so a
//! table lists it; what was really built from outside, or failed to be, is added at boot.

use async_trait::async_trait;
use model::filters::{Fields, Filters};
use model::plugins::{Deprecation, Introspection, Plugin, Runtimes, Server};
use model::{Any, Error, Kind, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the daemon knows about itself when it is up.
#[derive(Debug, Default)]
pub struct About {
    /// The version of containerd that clients find.
    pub version: String,
    /// Who it really is.
    pub revision: String,
    /// A random id.
    pub uuid: String,
    /// Its pid.
    pub pid: u64,
    /// The inode of its pid namespace.
    pub pidns: u64,
    /// Deprecated things in use.
    pub deprecations: Vec<Deprecation>,
    /// What was built from outside, or failed to be.
    pub built: Vec<Entry>,
}

/// A plugin, kept so that it can be told many times.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The type.
    pub kind: String,
    /// The id.
    pub id: String,
    /// Whether it works for this machine's platform in particular.
    pub platform: bool,
    /// What it tells about itself.
    pub exports: BTreeMap<String, String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Why it is not available.
    pub error: Option<String>,
}

/// The plugin that tells about runtimes.
const RUNTIMES: (&str, &str) = ("io.containerd.runtime.v2", "task");

/// Plain code that clients know as plugins, by type and id, in containerd's order.
const FIXED: [(&str, &str); 34] = [
    ("io.containerd.event.v1", "exchange"),
    ("io.containerd.metadata.v1", "bolt"),
    ("io.containerd.gc.v1", "scheduler"),
    ("io.containerd.service.v1", "containers-service"),
    ("io.containerd.service.v1", "content-service"),
    ("io.containerd.service.v1", "diff-service"),
    ("io.containerd.service.v1", "images-service"),
    ("io.containerd.service.v1", "introspection-service"),
    ("io.containerd.service.v1", "namespaces-service"),
    ("io.containerd.service.v1", "snapshots-service"),
    ("io.containerd.shim.v1", "manager"),
    RUNTIMES,
    ("io.containerd.service.v1", "tasks-service"),
    ("io.containerd.grpc.v1", "containers"),
    ("io.containerd.grpc.v1", "content"),
    ("io.containerd.grpc.v1", "diff"),
    ("io.containerd.grpc.v1", "events"),
    ("io.containerd.grpc.v1", "images"),
    ("io.containerd.grpc.v1", "introspection"),
    ("io.containerd.lease.v1", "manager"),
    ("io.containerd.grpc.v1", "leases"),
    ("io.containerd.grpc.v1", "namespaces"),
    ("io.containerd.sandbox.store.v1", "local"),
    ("io.containerd.transfer.v1", "local"),
    ("io.containerd.grpc.v1", "sandboxes"),
    ("io.containerd.grpc.v1", "snapshots"),
    ("io.containerd.streaming.v1", "manager"),
    ("io.containerd.grpc.v1", "streaming"),
    ("io.containerd.grpc.v1", "tasks"),
    ("io.containerd.grpc.v1", "transfer"),
    ("io.containerd.grpc.v1", "version"),
    ("io.containerd.grpc.v1", "healthcheck"),
    ("io.containerd.server.v1", "grpc"),
    ("io.containerd.server.v1", "ttrpc"),
];

/// Whether plain code goes by this type and id.
pub fn is_built_in(kind: &str, id: &str) -> bool {
    FIXED.contains(&(kind, id))
}

/// The introspection service.
#[derive(Clone)]
pub struct Plugins {
    about: Arc<About>,
    runtimes: Arc<dyn Runtimes>,
}

impl Plugins {
    /// A service that tells what it is given.
    pub fn new(about: About, runtimes: Arc<dyn Runtimes>) -> Self {
        Self { about: Arc::new(about), runtimes }
    }

    fn all(&self) -> Vec<Plugin> {
        let fixed = FIXED.iter().map(|(kind, id)| Entry {
            kind: (*kind).into(),
            id: (*id).into(),
            ..Entry::default()
        });
        self.about.built.iter().cloned().chain(fixed).map(plugin).collect()
    }
}

fn plugin(entry: Entry) -> Plugin {
    let platforms = if entry.platform { vec![oci::Platform::host("")] } else { Vec::new() };
    Plugin {
        kind: entry.kind,
        id: entry.id,
        requires: Vec::new(),
        platforms,
        exports: entry.exports,
        capabilities: entry.capabilities,
        error: entry.error.map(Error::unknown),
    }
}

struct Row<'a>(&'a Plugin);

impl Fields for Row<'_> {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path.first() {
            Some(&"type") => Some(Cow::Borrowed(&self.0.kind)),
            Some(&"id") => Some(Cow::Borrowed(&self.0.id)),
            _ => None,
        }
    }
}

#[async_trait]
impl Introspection for Plugins {
    async fn plugins(&self, filters: &[String]) -> Result<Vec<Plugin>> {
        let filters = Filters::parse(filters)
            .map_err(|e| Error::new(Kind::InvalidArgument, format!("invalid argument: {e}")))?;
        Ok(self.all().into_iter().filter(|p| filters.matches(&Row(p))).collect())
    }

    async fn server(&self) -> Result<Server> {
        let about = &self.about;
        Ok(Server {
            uuid: about.uuid.clone(),
            pid: about.pid,
            pidns: about.pidns,
            deprecations: about.deprecations.clone(),
        })
    }

    async fn plugin_info(&self, kind: &str, id: &str, options: Option<Any>) -> Result<(Plugin, Option<Any>)> {
        let found = self.all().into_iter().find(|p| p.kind == kind && p.id == id);
        let plugin = found.ok_or_else(|| Error::not_found(format!("plugin {kind}.{id} not found")))?;
        let Some(options) = options else { return Ok((plugin, None)) };
        if plugin.error.is_some() {
            return Err(Error::failed_precondition("cannot get extra info, plugin not successfully loaded"));
        }
        if (kind, id) == RUNTIMES {
            let info = self.runtimes.runtime_info(&options).await?;
            return Ok((plugin, Some(info)));
        }
        Err(Error::not_implemented("plugin does not provided extra information"))
    }

    async fn version(&self) -> Result<(String, String)> {
        Ok((self.about.version.clone(), self.about.revision.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoRuntimes;

    #[async_trait]
    impl Runtimes for NoRuntimes {
        async fn runtime_info(&self, _: &Any) -> Result<Any> {
            Err(Error::not_found("runtime"))
        }
    }

    #[tokio::test]
    async fn filters_look_at_type_and_id() {
        let plugins = Plugins::new(About::default(), Arc::new(NoRuntimes));
        let found = plugins.plugins(&["id==tasks".into()]).await.expect("list");
        assert_eq!(found.iter().map(|p| p.kind.as_str()).collect::<Vec<_>>(), ["io.containerd.grpc.v1"]);
        let error = plugins.plugins(&["id=x".into()]).await.expect_err("bad filter");
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.text().starts_with("invalid argument: filters: parse error"), "{error}");
    }
}
