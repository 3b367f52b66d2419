//! Leases: what keeps objects from the collector while a client works.

use crate::filters::{self, Fields};
use crate::{Labels, Result, Scope, Timestamp};
use async_trait::async_trait;
use std::borrow::Cow;

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The id: free text.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Labels; expiry and flatness are labels too.
    pub labels: Labels,
}

/// Something a lease holds, as clients name it: type (`content`, `images`, `ingests`, `snapshots/<snapshotter>`) and id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// The type.
    pub kind: String,
    /// The digest, name, ref or key.
    pub id: String,
}

/// A request to remove a lease.
#[derive(Clone, Debug, Default)]
pub struct Delete {
    /// The id.
    pub id: String,
    /// Wait for the collector to have removed what only this lease held.
    pub sync: bool,
}

/// The leases service.
#[async_trait]
pub trait Leases: Send + Sync {
    /// Makes a lease; an empty id is replaced by a fresh one. Errors: `AlreadyExists`.
    async fn create(&self, scope: &Scope, id: &str, labels: Labels) -> Result<Lease>;
    /// Errors: `NotFound`.
    async fn delete(&self, scope: &Scope, delete: Delete) -> Result<()>;
    /// The leases that match any filter, in id order.
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Lease>>;
    /// Errors: `NotFound` (the lease), `InvalidArgument`, `NotImplemented` (the type).
    async fn add_resource(&self, scope: &Scope, id: &str, resource: Resource) -> Result<()>;
    /// Errors: as [`Leases::add_resource`]; an absent resource is no error.
    async fn delete_resource(&self, scope: &Scope, id: &str, resource: Resource) -> Result<()>;
    /// Errors: `NotFound`.
    async fn list_resources(&self, scope: &Scope, id: &str) -> Result<Vec<Resource>>;
}

impl Fields for Lease {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["id", ..] => filters::text(&self.id),
            ["labels", key @ ..] => filters::label(&self.labels, key),
            _ => None,
        }
    }
}
