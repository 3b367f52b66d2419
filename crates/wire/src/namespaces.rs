//! Namespaces across the wire.

use model::namespaces::NamespaceInfo;
use model::{Error, Mask, Result};

use crate::api::namespaces::{CreateNamespaceRequest, Namespace, UpdateNamespaceRequest};
use crate::fields::{mask, required, wire_mask};

impl From<Namespace> for NamespaceInfo {
    fn from(wire: Namespace) -> Self {
        Self { name: wire.name, labels: wire.labels }
    }
}

impl From<NamespaceInfo> for Namespace {
    fn from(namespace: NamespaceInfo) -> Self {
        Self { name: namespace.name, labels: namespace.labels }
    }
}

impl TryFrom<CreateNamespaceRequest> for NamespaceInfo {
    type Error = Error;
    fn try_from(request: CreateNamespaceRequest) -> Result<Self> {
        Ok(required(request.namespace, "namespace")?.into())
    }
}

impl TryFrom<UpdateNamespaceRequest> for (NamespaceInfo, Mask) {
    type Error = Error;
    fn try_from(request: UpdateNamespaceRequest) -> Result<Self> {
        Ok((required(request.namespace, "namespace")?.into(), mask(request.update_mask)))
    }
}

impl From<(NamespaceInfo, Mask)> for UpdateNamespaceRequest {
    fn from((namespace, mask): (NamespaceInfo, Mask)) -> Self {
        Self { namespace: Some(namespace.into()), update_mask: wire_mask(mask) }
    }
}
