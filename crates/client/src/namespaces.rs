//! Namespaces over gRPC.

use crate::connect::answer;
use crate::{Client, stub};
use async_trait::async_trait;
use model::namespaces::{NamespaceInfo, Namespaces};
use model::{Mask, Result};
use wire::api::namespaces::*;
use wire::fields::{list, required};

#[async_trait]
impl Namespaces for Client {
    async fn get(&self, name: &str) -> Result<NamespaceInfo> {
        let request = GetNamespaceRequest { name: name.into() };
        let found = answer(stub!(self, namespaces::namespaces_client::NamespacesClient).get(request).await)?;
        Ok(required(found.namespace, "namespace")?.into())
    }

    async fn list(&self) -> Result<Vec<NamespaceInfo>> {
        let request = ListNamespacesRequest::default();
        let found = answer(stub!(self, namespaces::namespaces_client::NamespacesClient).list(request).await)?;
        Ok(list(found.namespaces))
    }

    async fn create(&self, namespace: NamespaceInfo) -> Result<NamespaceInfo> {
        let request = CreateNamespaceRequest { namespace: Some(namespace.into()) };
        let made =
            answer(stub!(self, namespaces::namespaces_client::NamespacesClient).create(request).await)?;
        Ok(required(made.namespace, "namespace")?.into())
    }

    async fn update(&self, namespace: NamespaceInfo, mask: Mask) -> Result<()> {
        let request = UpdateNamespaceRequest::from((namespace, mask));
        answer(stub!(self, namespaces::namespaces_client::NamespacesClient).update(request).await)?;
        Ok(())
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let request = DeleteNamespaceRequest { name: name.into() };
        answer(stub!(self, namespaces::namespaces_client::NamespacesClient).delete(request).await)
    }
}
