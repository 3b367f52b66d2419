//! `containerd.services.containers.v1.Containers`

use crate::{Answer, Messages, answer, scope, status, stream};
use model::{Mask, containers as noun};
use std::sync::Arc;
use tonic::Request;
use wire::api::containers::*;

pub struct Service(pub Arc<dyn noun::Containers>);

#[tonic::async_trait]
impl containers_server::Containers for Service {
    type ListStreamStream = Messages<ListContainerMessage>;

    async fn get(&self, request: Request<GetContainerRequest>) -> Answer<GetContainerResponse> {
        let container = self.0.get(&scope(&request)?, &request.get_ref().id).await.map_err(status)?;
        answer(GetContainerResponse { container: Some(container.into()) })
    }

    async fn list(&self, request: Request<ListContainersRequest>) -> Answer<ListContainersResponse> {
        let containers = self.0.list(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        answer(ListContainersResponse { containers: wire::fields::list(containers) })
    }

    async fn list_stream(&self, request: Request<ListContainersRequest>) -> Answer<Self::ListStreamStream> {
        let containers = self.0.list(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        stream(containers.into_iter().map(|c| ListContainerMessage { container: Some(c.into()) }).collect())
    }

    async fn create(&self, request: Request<CreateContainerRequest>) -> Answer<CreateContainerResponse> {
        let scope = scope(&request)?;
        let container = noun::Container::try_from(request.into_inner()).map_err(status)?;
        let container = self.0.create(&scope, container).await.map_err(status)?;
        answer(CreateContainerResponse { container: Some(container.into()) })
    }

    async fn update(&self, request: Request<UpdateContainerRequest>) -> Answer<UpdateContainerResponse> {
        let scope = scope(&request)?;
        let (container, mask) = <(noun::Container, Mask)>::try_from(request.into_inner()).map_err(status)?;
        let container = self.0.update(&scope, container, mask).await.map_err(status)?;
        answer(UpdateContainerResponse { container: Some(container.into()) })
    }

    async fn delete(&self, request: Request<DeleteContainerRequest>) -> Answer<()> {
        self.0.delete(&scope(&request)?, &request.get_ref().id).await.map_err(status)?;
        answer(())
    }
}
