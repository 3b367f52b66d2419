//! Plugins: what outsiders may supply, and what introspection tells about the daemon.

use crate::filters::{self, Fields};
use crate::{Any, Error, Result, Timestamp};
use async_trait::async_trait;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What outsiders may supply, in the order the daemon builds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A store of blobs.
    Content,
    /// A snapshotter.
    Snapshots,
    /// A mount handler.
    Mounts,
    /// A differ.
    Diff,
    /// An image verifier.
    Verify,
    /// A task runtime.
    Runtime,
    /// A monitor of tasks.
    Monitor,
    /// A sandbox controller.
    Sandbox,
    /// Node resource interface.
    Nri,
}

impl Kind {
    /// The plugin type under which introspection and the configuration know it.
    pub const fn type_url(self) -> &'static str {
        match self {
            Kind::Content => "io.containerd.content.v1",
            Kind::Snapshots => "io.containerd.snapshotter.v1",
            Kind::Mounts => "io.containerd.mount-handler.v1",
            Kind::Diff => "io.containerd.differ.v1",
            Kind::Verify => "io.containerd.image-verifier.v1",
            Kind::Runtime => "io.containerd.runtime.v2",
            Kind::Monitor => "io.containerd.monitor.task.v1",
            Kind::Sandbox => "io.containerd.sandbox.controller.v1",
            Kind::Nri => "io.containerd.nri.v1",
        }
    }
}

/// One line of introspection.
#[derive(Debug, Default)]
pub struct Plugin {
    /// The type (`io.containerd.snapshotter.v1`).
    pub kind: String,
    /// The id (`overlayfs`).
    pub id: String,
    /// The types it needs.
    pub requires: Vec<String>,
    /// The platforms it works for.
    pub platforms: Vec<oci::Platform>,
    /// What it tells about itself.
    pub exports: BTreeMap<String, String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Why it is not available.
    pub error: Option<Error>,
}

/// A deprecated thing that somebody used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// Its id.
    pub id: String,
    /// What to do instead.
    pub message: String,
    /// When it was used last.
    pub last_occurrence: Timestamp,
}

/// What the daemon tells about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// A random id, kept below the root.
    pub uuid: String,
    /// Its pid.
    pub pid: u64,
    /// The inode of its pid namespace.
    pub pidns: u64,
    /// Deprecated things that were used.
    pub deprecations: Vec<Deprecation>,
}

/// The introspection service, and the version.
#[async_trait]
pub trait Introspection: Send + Sync {
    /// The plugins that match any filter (`type`, `id`), in load order.
    async fn plugins(&self, filters: &[String]) -> Result<Vec<Plugin>>;
    /// The daemon itself.
    async fn server(&self) -> Result<Server>;
    /// More of one plugin. Errors: `NotFound`, `NotImplemented`.
    async fn plugin_info(&self, kind: &str, id: &str, options: Option<Any>) -> Result<(Plugin, Option<Any>)>;
    /// The daemon's version and revision.
    async fn version(&self) -> Result<(String, String)>;
}

/// What is known of shims that can be asked without a task.
#[async_trait]
pub trait Runtimes: Send + Sync {
    /// Answers a `containerd.types.RuntimeRequest` with a `containerd.types.RuntimeInfo`. Errors: `NotImplemented` for
    /// another message, `Unknown` for a runtime that is not found.
    async fn runtime_info(&self, request: &Any) -> Result<Any>;
}

impl Fields for Plugin {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["type", ..] => filters::text(&self.kind),
            ["id", ..] => filters::text(&self.id),
            _ => None,
        }
    }
}
