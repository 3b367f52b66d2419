//! Transfers over gRPC, their progress on a stream of its own.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::streams::{Message, Stream, Streams};
use model::transfer::{ProgressSink, Request, Transfer};
use model::{Result, Scope};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use wire::api::transfer::{TransferOptions, TransferRequest};

#[async_trait]
impl Transfer for Client {
    async fn transfer(&self, scope: &Scope, request: Request) -> Result<()> {
        let Request { source, destination, progress } = request;
        let (source, destination) = (Some(source.into()), Some(destination.into()));
        let mut message = TransferRequest { source, destination, options: None };
        let mut stub = stub!(self, transfer::transfer_client::TransferClient);
        let Some(sink) = progress else {
            return answer(stub.transfer(scoped(scope, message)?).await);
        };
        let id = unique("progress");
        let stream = self.open(scope, &id).await?;
        message.options = Some(TransferOptions { progress_stream: id });
        let request = scoped(scope, message)?;
        tokio::select! {
            // News first: what has arrived is told before the end is.
            biased;
            never = forward(&*stream, &*sink) => match never {},
            done = stub.transfer(request) => answer(done),
        }
    }
}

/// Hands progress on for as long as it is polled; the transfer alone says when all is done.
async fn forward(stream: &dyn Stream, sink: &dyn ProgressSink) -> Infallible {
    while let Ok(Some(message)) = stream.receive().await {
        if let Message::Progress(progress) = message {
            sink.report(*progress);
        }
    }
    std::future::pending().await
}

/// A name for a stream that nobody else has.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{prefix}-{now}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
