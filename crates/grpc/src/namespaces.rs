//! `containerd.services.namespaces.v1.Namespaces`

use crate::{Answer, answer, status};
use model::{Mask, namespaces as noun};
use std::sync::Arc;
use tonic::Request;
use wire::api::namespaces::*;

pub struct Service(pub Arc<dyn noun::Namespaces>);

#[tonic::async_trait]
impl namespaces_server::Namespaces for Service {
    async fn get(&self, request: Request<GetNamespaceRequest>) -> Answer<GetNamespaceResponse> {
        let namespace = self.0.get(&request.get_ref().name).await.map_err(status)?;
        answer(GetNamespaceResponse { namespace: Some(namespace.into()) })
    }

    async fn list(&self, _: Request<ListNamespacesRequest>) -> Answer<ListNamespacesResponse> {
        let namespaces = self.0.list().await.map_err(status)?;
        answer(ListNamespacesResponse { namespaces: wire::fields::list(namespaces) })
    }

    async fn create(&self, request: Request<CreateNamespaceRequest>) -> Answer<CreateNamespaceResponse> {
        let namespace = noun::NamespaceInfo::try_from(request.into_inner()).map_err(status)?;
        let namespace = self.0.create(namespace).await.map_err(status)?;
        answer(CreateNamespaceResponse { namespace: Some(namespace.into()) })
    }

    async fn update(&self, request: Request<UpdateNamespaceRequest>) -> Answer<UpdateNamespaceResponse> {
        let (namespace, mask) =
            <(noun::NamespaceInfo, Mask)>::try_from(request.into_inner()).map_err(status)?;
        self.0.update(namespace, mask).await.map_err(status)?;
        answer(UpdateNamespaceResponse { namespace: None })
    }

    async fn delete(&self, request: Request<DeleteNamespaceRequest>) -> Answer<()> {
        self.0.delete(&request.get_ref().name).await.map_err(status)?;
        answer(())
    }
}
