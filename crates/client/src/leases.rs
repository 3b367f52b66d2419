//! Leases over gRPC.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::leases::{Delete, Lease, Leases, Resource};
use model::{Labels, Result, Scope};
use wire::api::leases::*;
use wire::fields::{list, required};

#[async_trait]
impl Leases for Client {
    async fn create(&self, scope: &Scope, id: &str, labels: Labels) -> Result<Lease> {
        let request = scoped(scope, CreateRequest { id: id.into(), labels })?;
        let made = answer(stub!(self, leases::leases_client::LeasesClient).create(request).await)?;
        Ok(required(made.lease, "lease")?.into())
    }

    async fn delete(&self, scope: &Scope, delete: Delete) -> Result<()> {
        let request = scoped(scope, DeleteRequest::from(delete))?;
        answer(stub!(self, leases::leases_client::LeasesClient).delete(request).await)
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Lease>> {
        let request = scoped(scope, ListRequest { filters: filters.to_vec() })?;
        let found = answer(stub!(self, leases::leases_client::LeasesClient).list(request).await)?;
        Ok(list(found.leases))
    }

    async fn add_resource(&self, scope: &Scope, id: &str, resource: Resource) -> Result<()> {
        let message = AddResourceRequest { id: id.into(), resource: Some(resource.into()) };
        answer(stub!(self, leases::leases_client::LeasesClient).add_resource(scoped(scope, message)?).await)
    }

    async fn delete_resource(&self, scope: &Scope, id: &str, resource: Resource) -> Result<()> {
        let message = DeleteResourceRequest { id: id.into(), resource: Some(resource.into()) };
        answer(
            stub!(self, leases::leases_client::LeasesClient).delete_resource(scoped(scope, message)?).await,
        )
    }

    async fn list_resources(&self, scope: &Scope, id: &str) -> Result<Vec<Resource>> {
        let request = scoped(scope, ListResourcesRequest { id: id.into() })?;
        let found = answer(stub!(self, leases::leases_client::LeasesClient).list_resources(request).await)?;
        Ok(list(found.resources))
    }
}
