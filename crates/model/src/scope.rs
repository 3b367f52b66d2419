//! On whose behalf a request runs.

use crate::Namespace;

/// The context of a request: its namespace, and the lease that is to hold what it makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The namespace of every name in the request.
    pub namespace: Namespace,
    /// The lease that new objects join. Lease ids are free text.
    pub lease: Option<String>,
}

impl Scope {
    /// A scope without a lease.
    pub fn new(namespace: Namespace) -> Self {
        Self { namespace, lease: None }
    }

    /// The same namespace under a lease.
    #[must_use]
    pub fn with_lease(&self, lease: impl Into<String>) -> Self {
        Self { namespace: self.namespace.clone(), lease: Some(lease.into()) }
    }
}
