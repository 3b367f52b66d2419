//! `containerd.services.transfer.v1.Transfer`

use crate::{Answer, answer, scope, status};
use model::streams::{Accept, Message, Stream};
use model::transfer::{self as noun, Endpoint, Progress, ProgressSink, Request as Wanted};
use model::{Error, Scope};
use std::sync::Arc;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinHandle;
use tonic::{Request, Status};
use wire::Any;
use wire::api::transfer::*;

/// How many lines of progress wait for a slow client before the oldest news is not told.
const QUEUE: usize = 1024;

pub struct Service {
    transfer: Arc<dyn noun::Transfer>,
    streams: Arc<dyn Accept>,
}

impl Service {
    pub fn new(transfer: Arc<dyn noun::Transfer>, streams: Arc<dyn Accept>) -> Self {
        Self { transfer, streams }
    }

    fn progress(&self, scope: &Scope, id: &str) -> Result<Option<Reporter>, Status> {
        if id.is_empty() {
            return Ok(None);
        }
        let stream = self.streams.take(&scope.namespace, id).map_err(status)?;
        Ok(Some(Reporter::spawn(stream)))
    }
}

#[tonic::async_trait]
impl transfer_server::Transfer for Service {
    async fn transfer(&self, request: Request<TransferRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        let TransferRequest { source, destination, options } = request.into_inner();
        let reporter = self.progress(&scope, &options.unwrap_or_default().progress_stream)?;
        let (source, destination) = pair(source.unwrap_or_default(), destination.unwrap_or_default())?;
        let sink = reporter.as_ref().map(|r| Arc::new(r.sink.clone()) as Arc<dyn ProgressSink>);
        let done = self.transfer.transfer(&scope, Wanted { source, destination, progress: sink }).await;
        if let Some(reporter) = reporter {
            reporter.finish().await;
        }
        done.map_err(status)?;
        answer(())
    }
}

/// Both ends; a type that is no end makes the pair one that nobody connects.
fn pair(source: Any, destination: Any) -> Result<(Endpoint, Endpoint), Status> {
    let text = format!("method Transfer not implemented for {} to {}", source.type_url, destination.type_url);
    let read = |any: Any| match Endpoint::try_from(any) {
        Err(e) if e.kind() == model::Kind::NotImplemented => {
            Err(status(Error::new(model::Kind::NotImplemented, text.clone())))
        }
        other => other.map_err(status),
    };
    Ok((read(source)?, read(destination)?))
}

#[derive(Clone)]
struct Sink(broadcast::Sender<Progress>);

impl ProgressSink for Sink {
    fn report(&self, progress: Progress) {
        // Progress is news, not data: what a client does not fetch in time is left out. The last news always arrives.
        self.0.send(progress).ok();
    }
}

/// Sends progress to a stream, in order, apart from the transfer.
struct Reporter {
    sink: Sink,
    task: JoinHandle<()>,
}

impl Reporter {
    fn spawn(stream: Arc<dyn Stream>) -> Self {
        let (sender, mut receiver) = broadcast::channel(QUEUE);
        let task = tokio::spawn(async move {
            loop {
                let progress: Progress = match receiver.recv().await {
                    Ok(progress) => progress,
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => break,
                };
                if stream.send(Message::Progress(Box::new(progress))).await.is_err() {
                    break;
                }
            }
            stream.close().await;
        });
        Self { sink: Sink(sender), task }
    }

    async fn finish(self) {
        drop(self.sink);
        if let Err(e) = self.task.await {
            tracing::error!(error = %e, "progress task failed");
        }
    }
}
