//! `containerd.services.leases.v1.Leases`

use crate::{Answer, answer, scope, status};
use model::leases as noun;
use std::sync::Arc;
use tonic::Request;
use wire::api::leases::*;

pub struct Service(pub Arc<dyn noun::Leases>);

#[tonic::async_trait]
impl leases_server::Leases for Service {
    async fn create(&self, request: Request<CreateRequest>) -> Answer<CreateResponse> {
        let scope = scope(&request)?;
        let CreateRequest { id, labels } = request.into_inner();
        let lease = self.0.create(&scope, &id, labels).await.map_err(status)?;
        answer(CreateResponse { lease: Some(lease.into()) })
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        self.0.delete(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let leases = self.0.list(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        answer(ListResponse { leases: wire::fields::list(leases) })
    }

    async fn add_resource(&self, request: Request<AddResourceRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let (id, resource) = <(String, noun::Resource)>::try_from(request.into_inner()).map_err(status)?;
        self.0.add_resource(&scope, &id, resource).await.map_err(status)?;
        answer(())
    }

    async fn delete_resource(&self, request: Request<DeleteResourceRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let (id, resource) = <(String, noun::Resource)>::try_from(request.into_inner()).map_err(status)?;
        self.0.delete_resource(&scope, &id, resource).await.map_err(status)?;
        answer(())
    }

    async fn list_resources(&self, request: Request<ListResourcesRequest>) -> Answer<ListResourcesResponse> {
        let resources =
            self.0.list_resources(&scope(&request)?, &request.get_ref().id).await.map_err(status)?;
        answer(ListResourcesResponse { resources: wire::fields::list(resources) })
    }
}
