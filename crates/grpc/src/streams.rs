//! `containerd.services.streaming.v1.Streaming`: streams are opened here and owned by whoever looks their name up.

use crate::{Answer, Messages, status};
use model::Error;
use model::streams as noun;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use wire::Any;
use wire::api::streams::*;

/// How many messages wait for a slow client.
const QUEUE: usize = 8;

pub struct Service(pub Arc<dyn noun::Accept>);

/// The daemon's end of a client's stream.
struct Pipe {
    incoming: Mutex<Streaming<Any>>,
    outgoing: Mutex<Option<mpsc::Sender<Result<Any, Status>>>>,
    closed: watch::Sender<bool>,
}

#[tonic::async_trait]
impl streaming_server::Streaming for Service {
    type StreamStream = Messages<Any>;

    async fn stream(&self, request: Request<Streaming<Any>>) -> Answer<Self::StreamStream> {
        let namespace = first(request.metadata(), wire::headers::NAMESPACE);
        let lease = first(request.metadata(), wire::headers::LEASE);
        let mut incoming = request.into_inner();
        let Some(message) = incoming.message().await? else { return Err(Status::unknown("EOF")) };
        let id = init(&message)?.id;
        let (sender, receiver) = mpsc::channel(QUEUE);
        // The channel is empty, so the acknowledgement is the first message the client sees.
        sender.try_send(Ok(Any::pack(&()))).map_err(|e| Status::internal(e.to_string()))?;
        let pipe = Arc::new(Pipe {
            incoming: Mutex::new(incoming),
            outgoing: Mutex::new(Some(sender)),
            closed: watch::channel(false).0,
        });
        self.0.accept(noun::Accepted { namespace, lease, id, stream: pipe }).map_err(status)?;
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

fn first(metadata: &tonic::metadata::MetadataMap, key: &str) -> String {
    metadata.get(key).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()).unwrap_or_default()
}

/// The type is matched to the letter here, as clients know it.
fn init(message: &Any) -> Result<StreamInit, Status> {
    let wrong = || {
        Status::unknown(format!(
            "can't unmarshal type {:?} to output {:?}",
            message.type_url,
            wire::typeurl::STREAM_INIT
        ))
    };
    if message.type_url != wire::typeurl::STREAM_INIT {
        return Err(wrong());
    }
    prost::Message::decode(message.value.clone()).map_err(|_| wrong())
}

#[async_trait::async_trait]
impl noun::Stream for Pipe {
    async fn send(&self, message: noun::Message) -> model::Result<()> {
        let sender = self.outgoing.lock().await.clone();
        let gone = || Error::unavailable("stream closed");
        sender.ok_or_else(gone)?.send(Ok(message.into())).await.map_err(|_| gone())
    }

    async fn receive(&self) -> model::Result<Option<noun::Message>> {
        let mut closed = self.closed.subscribe();
        let mut incoming = self.incoming.lock().await;
        let next = tokio::select! {
            next = incoming.message() => next,
            _ = closed.wait_for(|closed| *closed) => return Ok(None),
        };
        match next.map_err(wire::status::from_grpc)? {
            Some(any) => noun::Message::try_from(any).map(Some),
            None => Ok(None),
        }
    }

    fn is_abandoned(&self) -> bool {
        // It is held for moments only, by somebody who uses the stream.
        self.outgoing.try_lock().is_ok_and(|sender| sender.as_ref().is_none_or(mpsc::Sender::is_closed))
    }

    async fn close(&self) {
        self.closed.send_replace(true);
        self.outgoing.lock().await.take();
    }
}
