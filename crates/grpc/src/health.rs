//! `grpc.health.v1.Health`: only the daemon as a whole (the empty service name) has a state.

use crate::{Answer, Messages, answer};
use std::collections::BTreeMap;
use tokio_stream::StreamExt;
use tonic::{Request, Response, Status};
use wire::api::health::health_check_response::ServingStatus;
use wire::api::health::*;

pub struct Service;

#[tonic::async_trait]
impl health_server::Health for Service {
    type WatchStream = Messages<HealthCheckResponse>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        match request.get_ref().service.as_str() {
            "" => answer(serving(ServingStatus::Serving)),
            _ => Err(Status::not_found("unknown service")),
        }
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Answer<HealthListResponse> {
        answer(HealthListResponse {
            statuses: BTreeMap::from([(String::new(), serving(ServingStatus::Serving))]),
        })
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        let state = match request.get_ref().service.as_str() {
            "" => ServingStatus::Serving,
            _ => ServingStatus::ServiceUnknown,
        };
        // The state never changes while the daemon lives, so the stream stays open after its first message.
        let first = tokio_stream::once(Ok(serving(state)));
        Ok(Response::new(Box::pin(first.chain(tokio_stream::pending()))))
    }
}

fn serving(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
