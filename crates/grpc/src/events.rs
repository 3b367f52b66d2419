//! `containerd.services.events.v1.Events`

use crate::{Answer, Messages, answer, scope, status};
use model::{Kind, events as noun};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response};
use wire::api::events::*;
use wire::api::types::Envelope;

const BAD_FILTER: &str = "subscription error: failed parsing subscription filters";

pub struct Service(pub Arc<dyn noun::Events>);

#[tonic::async_trait]
impl events_server::Events for Service {
    type SubscribeStream = Messages<Envelope>;

    async fn publish(&self, request: Request<PublishRequest>) -> Answer<()> {
        let scope = scope(&request)
            .map_err(|s| tonic::Status::new(s.code(), format!("failed publishing event: {}", s.message())))?;
        let PublishRequest { topic, event } = request.into_inner();
        self.0.publish(&scope.namespace, &topic, event.map(Into::into)).await.map_err(status)?;
        answer(())
    }

    async fn forward(&self, request: Request<ForwardRequest>) -> Answer<()> {
        let envelope = noun::Envelope::try_from(request.into_inner()).map_err(status)?;
        self.0.forward(envelope).await.map_err(status)?;
        answer(())
    }

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Answer<Self::SubscribeStream> {
        // A bad filter has no class here, unlike everywhere else.
        let mut subscription = self
            .0
            .subscribe(&request.get_ref().filters)
            .await
            .map_err(|e| status(e.with_kind(Kind::Unknown).during(BAD_FILTER)))?;
        let (sender, receiver) = mpsc::channel(16);
        tokio::spawn(async move {
            loop {
                let next = tokio::select! {
                    next = subscription.next() => next,
                    () = sender.closed() => return,
                };
                let Some(next) = next else { return };
                if sender.send(next.map(Envelope::from).map_err(status)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}
