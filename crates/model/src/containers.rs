//! Containers: the record of what a task is to be made from. A record, not a process.

use crate::filters::{self, Fields};
use crate::{Any, Error, Labels, Mask, Result, Scope, Timestamp, ids, labels};
use async_trait::async_trait;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Which runtime is to run a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeChoice {
    /// The runtime's name (`io.containerd.runc.v2`) or the absolute path of a shim.
    pub name: String,
    /// Options for the shim.
    pub options: Option<Any>,
}

/// A container record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The id: an identifier once stored.
    pub id: String,
    /// Labels.
    pub labels: Labels,
    /// The image's name, or empty.
    pub image: String,
    /// The runtime.
    pub runtime: RuntimeChoice,
    /// The OCI spec, byte for byte as the client sent it.
    pub spec: Option<Any>,
    /// The snapshotter's name, or empty.
    pub snapshotter: String,
    /// The root file system's snapshot key, or empty.
    pub snapshot_key: String,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What clients keep with a container.
    pub extensions: BTreeMap<String, Any>,
    /// The id of the sandbox it belongs to, or empty.
    pub sandbox: String,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            id: String::new(),
            labels: Labels::new(),
            image: String::new(),
            runtime: RuntimeChoice::default(),
            spec: None,
            snapshotter: String::new(),
            snapshot_key: String::new(),
            created_at: Timestamp::NEVER,
            updated_at: Timestamp::NEVER,
            extensions: BTreeMap::new(),
            sandbox: String::new(),
        }
    }
}

impl Container {
    /// Checks a record before it is written.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn validate(&self) -> Result<()> {
        ids::validate(&self.id).map_err(|e| e.during("container.ID"))?;
        if self.extensions.contains_key("") {
            return Err(Error::invalid("container.Extension keys must not be zero-length"));
        }
        labels::validate("containers.Labels", &self.labels)?;
        if self.runtime.name.is_empty() {
            return Err(Error::invalid("container.Runtime.Name must be set"));
        }
        if !self.snapshot_key.is_empty() && self.snapshotter.is_empty() {
            return Err(Error::invalid("container.Snapshotter must be set if container.SnapshotKey is set"));
        }
        Ok(())
    }
}

/// The containers service.
#[async_trait]
pub trait Containers: Send + Sync {
    /// Errors: `NotFound`.
    async fn get(&self, scope: &Scope, id: &str) -> Result<Container>;
    /// Whether the record is there. Errors: `NotFound`.
    async fn check(&self, scope: &Scope, id: &str) -> Result<()> {
        self.get(scope, id).await.map(drop)
    }
    /// The records that match any filter, in id order. Errors: `InvalidArgument` for a bad filter.
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Container>>;
    /// Errors: `InvalidArgument`, `AlreadyExists`.
    async fn create(&self, scope: &Scope, container: Container) -> Result<Container>;
    /// Errors: `InvalidArgument`, `NotFound`.
    async fn update(&self, scope: &Scope, container: Container, mask: Mask) -> Result<Container>;
    /// Errors: `NotFound`.
    async fn delete(&self, scope: &Scope, id: &str) -> Result<()>;
}

impl Fields for Container {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id", ..] => filters::text(&self.id),
            ["image", ..] => filters::text(&self.image),
            ["runtime", "name", ..] => filters::text(&self.runtime.name),
            ["labels", key @ ..] => filters::label(&self.labels, key),
            _ => None,
        }
    }
}
