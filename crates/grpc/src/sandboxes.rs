//! `containerd.services.sandbox.v1.Store`

use crate::{Answer, answer, scope, status};
use model::{Mask, sandboxes as noun};
use std::sync::Arc;
use tonic::Request;
use wire::api::sandboxes::*;

pub struct Service(pub Arc<dyn noun::Sandboxes>);

#[tonic::async_trait]
impl store_server::Store for Service {
    async fn create(&self, request: Request<StoreCreateRequest>) -> Answer<StoreCreateResponse> {
        let scope = scope(&request)?;
        let sandbox = noun::Sandbox::try_from(request.into_inner()).map_err(status)?;
        let sandbox = self.0.create(&scope, sandbox).await.map_err(status)?;
        answer(StoreCreateResponse { sandbox: Some(sandbox.into()) })
    }

    async fn update(&self, request: Request<StoreUpdateRequest>) -> Answer<StoreUpdateResponse> {
        let scope = scope(&request)?;
        let (sandbox, mask) = <(noun::Sandbox, Mask)>::try_from(request.into_inner()).map_err(status)?;
        let sandbox = self.0.update(&scope, sandbox, mask).await.map_err(status)?;
        answer(StoreUpdateResponse { sandbox: Some(sandbox.into()) })
    }

    async fn delete(&self, request: Request<StoreDeleteRequest>) -> Answer<StoreDeleteResponse> {
        self.0.delete(&scope(&request)?, &request.get_ref().sandbox_id).await.map_err(status)?;
        answer(StoreDeleteResponse {})
    }

    async fn list(&self, request: Request<StoreListRequest>) -> Answer<StoreListResponse> {
        let sandboxes = self.0.list(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        answer(StoreListResponse { list: wire::fields::list(sandboxes) })
    }

    async fn get(&self, request: Request<StoreGetRequest>) -> Answer<StoreGetResponse> {
        let sandbox = self.0.get(&scope(&request)?, &request.get_ref().sandbox_id).await.map_err(status)?;
        answer(StoreGetResponse { sandbox: Some(sandbox.into()) })
    }
}
