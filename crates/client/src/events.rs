//! Events over gRPC.

use crate::connect::{answer, refusal};
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::events::{Envelope, Events, Subscription};
use model::{Any, Error, Namespace, Result, Scope};
use std::pin::Pin;
use std::time::Duration;
use tonic::{Response, Status, Streaming};
use wire::api::events::*;
use wire::api::types;

/// How long a daemon may take to acknowledge a subscription before it counts as made. containerd acknowledges with
/// the first event, which may never come; gantryd at once.
const ACKNOWLEDGE: Duration = Duration::from_millis(100);

type Answer = std::result::Result<Response<Streaming<types::Envelope>>, Status>;

/// A subscription, acknowledged or on its way.
enum Subscribed {
    Waiting(Pin<Box<dyn Future<Output = Answer> + Send>>),
    Running(Box<Streaming<types::Envelope>>),
    Ended,
}

#[async_trait]
impl Events for Client {
    async fn publish(&self, namespace: &Namespace, topic: &str, event: Option<Any>) -> Result<()> {
        let message = PublishRequest { topic: topic.into(), event: event.map(Into::into) };
        let request = scoped(&Scope::new(namespace.clone()), message)?;
        answer(stub!(self, events::events_client::EventsClient).publish(request).await)
    }

    async fn forward(&self, envelope: Envelope) -> Result<()> {
        let request = ForwardRequest { envelope: Some(envelope.into()) };
        answer(stub!(self, events::events_client::EventsClient).forward(request).await)
    }

    async fn subscribe(&self, filters: &[String]) -> Result<Box<dyn Subscription>> {
        let request = SubscribeRequest { filters: filters.to_vec() };
        let mut stub = stub!(self, events::events_client::EventsClient);
        let mut call: Pin<Box<dyn Future<Output = Answer> + Send>> =
            Box::pin(async move { stub.subscribe(request).await });
        Ok(Box::new(match tokio::time::timeout(ACKNOWLEDGE, &mut call).await {
            Ok(acknowledged) => Subscribed::Running(Box::new(answer(acknowledged)?)),
            Err(_) => Subscribed::Waiting(call),
        }))
    }
}

impl Subscribed {
    async fn receive(&mut self) -> Result<Option<Envelope>> {
        if let Subscribed::Waiting(call) = self {
            *self = Subscribed::Running(Box::new(answer(call.await)?));
        }
        let Subscribed::Running(messages) = self else { return Ok(None) };
        Ok(messages.message().await.map_err(refusal)?.map(Into::into))
    }
}

#[async_trait]
impl Subscription for Subscribed {
    async fn next(&mut self) -> Option<Result<Envelope>> {
        let next = self.receive().await.transpose();
        if !matches!(next, Some(Ok(_))) {
            *self = Subscribed::Ended;
        }
        next.map(|next| next.map_err(|e: Error| e.during("receive events")))
    }
}
