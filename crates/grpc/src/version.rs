//! `containerd.services.version.v1.Version`

use crate::{Answer, answer, status};
use model::plugins::Introspection;
use std::sync::Arc;
use tonic::Request;
use wire::api::version::*;

pub struct Service(pub Arc<dyn Introspection>);

#[tonic::async_trait]
impl version_server::Version for Service {
    async fn version(&self, _: Request<()>) -> Answer<VersionResponse> {
        let (version, revision) = self.0.version().await.map_err(status)?;
        answer(VersionResponse { version, revision })
    }
}
