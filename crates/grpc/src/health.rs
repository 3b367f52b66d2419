//! `grpc.health.v1.Health`: only the daemon as a whole (the empty service name) has a state.

use crate::{Answer, Messages, answer};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use wire::api::health::health_check_response::ServingStatus;
use wire::api::health::*;

/// The service; it is told when the daemon is about to stop.
pub struct Service(pub watch::Receiver<bool>);

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
        // The state never changes while the daemon lives: after its first message the stream only ends.
        let (sender, receiver) = mpsc::channel(1);
        let mut stopping = self.0.clone();
        tokio::spawn(async move {
            if sender.send(Ok(serving(state))).await.is_err() {
                return;
            }
            let stops = tokio::select! {
                stopped = stopping.wait_for(|stop| *stop) => stopped.is_ok(),
                () = sender.closed() => false,
            };
            if stops {
                // The client may just have gone.
                let _ = sender.send(Err(Status::unavailable("the daemon is stopping"))).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn serving(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}
