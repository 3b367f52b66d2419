//! Transfers over gRPC, their progress on a stream of its own.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::streams::{Message, Stream, Streams};
use model::transfer::{ProgressSink, Request, Transfer};
use model::{Result, Scope};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use wire::api::transfer::{TransferOptions, TransferRequest};

/// How long the last news may come after the answer.
const LAST_NEWS: Duration = Duration::from_millis(100);

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
        let mut news = pin!(forward(&*stream, &*sink));
        let mut transfer = pin!(stub.transfer(request));
        let done = tokio::select! {
            done = &mut transfer => done,
            () = &mut news => return answer(transfer.await),
        };
        // The answer may overtake the last news on the connection. Not every daemon ends the stream.
        let _ = tokio::time::timeout(LAST_NEWS, news).await;
        answer(done)
    }
}

/// Hands progress on until the daemon ends the stream.
async fn forward(stream: &dyn Stream, sink: &dyn ProgressSink) {
    while let Ok(Some(message)) = stream.receive().await {
        if let Message::Progress(progress) = message {
            sink.report(*progress);
        }
    }
}

/// A name for a stream that nobody else has.
fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{prefix}-{now}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
