//! Sandboxes: the record of a group of containers that share a shim.

use crate::containers::RuntimeChoice;
use crate::filters::{self, Fields};
use crate::{Any, Labels, Mask, Result, Scope, Timestamp};
use async_trait::async_trait;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// A sandbox record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The id: an identifier once stored.
    pub id: String,
    /// Labels.
    pub labels: Labels,
    /// The runtime; required.
    pub runtime: Option<RuntimeChoice>,
    /// The sandbox's spec.
    pub spec: Option<Any>,
    /// Which controller owns it.
    pub sandboxer: String,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What clients keep with it.
    pub extensions: BTreeMap<String, Any>,
}

/// The sandbox store.
#[async_trait]
pub trait Sandboxes: Send + Sync {
    /// Errors: `NotFound`.
    async fn get(&self, scope: &Scope, id: &str) -> Result<Sandbox>;
    /// The records that match any filter, in id order.
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Sandbox>>;
    /// Errors: `InvalidArgument`, `AlreadyExists`.
    async fn create(&self, scope: &Scope, sandbox: Sandbox) -> Result<Sandbox>;
    /// Errors: `InvalidArgument`, `NotFound`.
    async fn update(&self, scope: &Scope, sandbox: Sandbox, mask: Mask) -> Result<Sandbox>;
    /// Errors: `NotFound`.
    async fn delete(&self, scope: &Scope, id: &str) -> Result<()>;
}

impl Fields for Sandbox {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id", ..] => filters::text(&self.id),
            ["labels", key @ ..] => filters::label(&self.labels, key),
            _ => None,
        }
    }
}
