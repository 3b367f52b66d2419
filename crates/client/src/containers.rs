//! Container records over gRPC.

use crate::connect::{answer, refusal};
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::containers::{Container, Containers};
use model::{Mask, Result, Scope};
use wire::api::containers::*;
use wire::fields::required;

#[async_trait]
impl Containers for Client {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Container> {
        let request = scoped(scope, GetContainerRequest { id: id.into() })?;
        let found = answer(stub!(self, containers::containers_client::ContainersClient).get(request).await)?;
        Ok(required(found.container, "container")?.into())
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Container>> {
        let request = scoped(scope, ListContainersRequest { filters: filters.to_vec() })?;
        let mut stub = stub!(self, containers::containers_client::ContainersClient);
        // One message for each, so that no number of containers meets the limit of a message.
        let mut messages = answer(stub.list_stream(request).await)?;
        let mut containers = Vec::new();
        while let Some(message) = messages.message().await.map_err(refusal)? {
            containers.push(required(message.container, "container")?.into());
        }
        Ok(containers)
    }

    async fn create(&self, scope: &Scope, container: Container) -> Result<Container> {
        let request = scoped(scope, CreateContainerRequest { container: Some(container.into()) })?;
        let made =
            answer(stub!(self, containers::containers_client::ContainersClient).create(request).await)?;
        Ok(required(made.container, "container")?.into())
    }

    async fn update(&self, scope: &Scope, container: Container, mask: Mask) -> Result<Container> {
        let request = scoped(scope, UpdateContainerRequest::from((container, mask)))?;
        let made =
            answer(stub!(self, containers::containers_client::ContainersClient).update(request).await)?;
        Ok(required(made.container, "container")?.into())
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<()> {
        let request = scoped(scope, DeleteContainerRequest { id: id.into() })?;
        answer(stub!(self, containers::containers_client::ContainersClient).delete(request).await)
    }
}
