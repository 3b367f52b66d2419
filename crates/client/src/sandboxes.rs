//! Sandbox records over gRPC.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::sandboxes::{Sandbox, Sandboxes};
use model::{Mask, Result, Scope};
use wire::api::sandboxes::*;
use wire::fields::{list, required};

#[async_trait]
impl Sandboxes for Client {
    async fn get(&self, scope: &Scope, id: &str) -> Result<Sandbox> {
        let request = scoped(scope, StoreGetRequest { sandbox_id: id.into() })?;
        let found = answer(stub!(self, sandboxes::store_client::StoreClient).get(request).await)?;
        Ok(required(found.sandbox, "sandbox")?.into())
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Sandbox>> {
        let request = scoped(scope, StoreListRequest { filters: filters.to_vec() })?;
        let found = answer(stub!(self, sandboxes::store_client::StoreClient).list(request).await)?;
        Ok(list(found.list))
    }

    async fn create(&self, scope: &Scope, sandbox: Sandbox) -> Result<Sandbox> {
        let request = scoped(scope, StoreCreateRequest { sandbox: Some(sandbox.into()) })?;
        let made = answer(stub!(self, sandboxes::store_client::StoreClient).create(request).await)?;
        Ok(required(made.sandbox, "sandbox")?.into())
    }

    async fn update(&self, scope: &Scope, sandbox: Sandbox, mask: Mask) -> Result<Sandbox> {
        let request = scoped(scope, StoreUpdateRequest::from((sandbox, mask)))?;
        let made = answer(stub!(self, sandboxes::store_client::StoreClient).update(request).await)?;
        Ok(required(made.sandbox, "sandbox")?.into())
    }

    async fn delete(&self, scope: &Scope, id: &str) -> Result<()> {
        let request = scoped(scope, StoreDeleteRequest { sandbox_id: id.into() })?;
        answer(stub!(self, sandboxes::store_client::StoreClient).delete(request).await)?;
        Ok(())
    }
}
