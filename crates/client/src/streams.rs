//! Streams over gRPC: opened under a name, acknowledged, then messages both ways.

use crate::connect::{answer, refusal};
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::streams::{Message, Stream, Streams};
use model::{Error, Result, Scope};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use wire::Any;
use wire::api::streams::StreamInit;

/// How many messages wait for a slow daemon.
const QUEUE: usize = 8;

/// The client's end. The daemon sees the end of the stream when it is closed, and its cancellation when it is dropped.
struct Pipe {
    outgoing: Mutex<Option<mpsc::Sender<Any>>>,
    incoming: Mutex<Streaming<Any>>,
}

#[async_trait]
impl Streams for Client {
    async fn open(&self, scope: &Scope, id: &str) -> Result<Box<dyn Stream>> {
        let (outgoing, messages) = mpsc::channel(QUEUE);
        let full = |e| Error::internal(format!("queue of stream {id:?}: {e}"));
        outgoing.try_send(Any::pack(&StreamInit { id: id.into() })).map_err(full)?;
        let request = scoped(scope, ReceiverStream::new(messages))?;
        let mut incoming =
            answer(stub!(self, streams::streaming_client::StreamingClient).stream(request).await)?;
        match incoming.message().await.map_err(refusal)? {
            Some(_) => Ok(Box::new(Pipe { outgoing: Some(outgoing).into(), incoming: incoming.into() })),
            None => Err(Error::unavailable(format!("stream {id:?} ended before it was acknowledged"))),
        }
    }
}

#[async_trait]
impl Stream for Pipe {
    async fn send(&self, message: Message) -> Result<()> {
        let sender = self.outgoing.lock().await.clone();
        let gone = || Error::unavailable("stream closed");
        sender.ok_or_else(gone)?.send(message.into()).await.map_err(|_| gone())
    }

    async fn receive(&self) -> Result<Option<Message>> {
        match self.incoming.lock().await.message().await.map_err(refusal)? {
            Some(any) => Message::try_from(any).map(Some),
            None => Ok(None),
        }
    }

    async fn close(&self) {
        self.outgoing.lock().await.take();
    }
}
