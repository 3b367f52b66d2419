//! `containerd.services.diff.v1.Diff`

use crate::{Answer, answer, scope, status};
use model::diff as noun;
use std::sync::Arc;
use tonic::Request;
use wire::api::diff::*;

pub struct Service(pub Arc<dyn noun::Diff>);

#[tonic::async_trait]
impl diff_server::Diff for Service {
    async fn apply(&self, request: Request<ApplyRequest>) -> Answer<ApplyResponse> {
        let scope = scope(&request)?;
        let apply = noun::Apply::try_from(request.into_inner()).map_err(status)?;
        let applied = self.0.apply(&scope, apply).await.map_err(status)?;
        answer(ApplyResponse { applied: Some(applied.into()) })
    }

    async fn diff(&self, request: Request<DiffRequest>) -> Answer<DiffResponse> {
        let scope = scope(&request)?;
        let diff = self.0.compare(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(DiffResponse { diff: Some(diff.into()) })
    }
}
