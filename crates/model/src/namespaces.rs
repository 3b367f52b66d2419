//! Namespaces: the top of every name. They come into being with their first object.

use crate::{Labels, Mask, Result};
use async_trait::async_trait;

/// A namespace and its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceInfo {
    /// The name; not validated here, because lookups accept any text.
    pub name: String,
    /// The labels.
    pub labels: Labels,
}

/// The namespaces service.
#[async_trait]
pub trait Namespaces: Send + Sync {
    /// A namespace's labels; never `NotFound`: an unknown one has none.
    async fn get(&self, name: &str) -> Result<NamespaceInfo>;
    /// All namespaces in name order.
    async fn list(&self) -> Result<Vec<NamespaceInfo>>;
    /// Makes a namespace. Errors: `AlreadyExists`, `InvalidArgument`.
    async fn create(&self, namespace: NamespaceInfo) -> Result<NamespaceInfo>;
    /// Changes labels. Errors: `InvalidArgument` for a mask path other than `labels.<key>`.
    async fn update(&self, namespace: NamespaceInfo, mask: Mask) -> Result<()>;
    /// Removes an empty namespace. Errors: `NotFound`, `FailedPrecondition` naming what it still has.
    async fn delete(&self, name: &str) -> Result<()>;
}
