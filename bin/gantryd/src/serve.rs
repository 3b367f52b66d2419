//! The daemon's faces: gRPC for clients, ttrpc for shims' events.

use crate::flight::Flights;
use crate::socket::Socket;
use anyhow::{Context as _, Result};
use bytes::Bytes;
use engine::events::Exchange;
use model::events::Envelope;
use shims::Shims;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::Sleep;
use tokio_stream::Stream;
use tonic::service::Routes;
use ttrpc::server::{is_exhausted, pause};
use wire::Message;
use wire::api::shim_events::{ForwardRequest, events_methods};

/// Becomes true when the daemon is to stop.
pub type Stop = watch::Receiver<bool>;

/// Serves clients until the daemon is to stop.
///
/// # Errors
/// The listener fails.
pub async fn grpc(mut socket: Socket, (routes, flights): (Routes, Flights), stop: Stop) -> Result<()> {
    let listener = socket.listener.take().context("the socket is served already")?;
    let incoming = Incoming { listener, pause: None };
    tonic::transport::Server::builder()
        .layer(flights)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stopped(stop))
        .await
        .context("serve clients")
}

/// Clients' connections. While there is no descriptor or memory left for one it waits, instead of asking over and over.
struct Incoming {
    listener: UnixListener,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Stream for Incoming {
    type Item = std::io::Result<UnixStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((socket, _)) => return Poll::Ready(Some(Ok(socket))),
                Err(e) if is_exhausted(&e) => {
                    tracing::warn!(error = %e, "clients wait");
                    self.pause = Some(Box::pin(pause()));
                }
                Err(e) => return Poll::Ready(Some(Err(e))),
            }
        }
    }
}

/// Takes shims' events until the daemon is to stop.
///
/// # Errors
/// The listener fails.
pub async fn ttrpc(mut socket: Socket, events: Arc<Exchange>, shims: Shims, stop: Stop) -> Result<()> {
    let listener = socket.listener.take().context("the socket is served already")?;
    let server = ttrpc::server::Server::default().unary(
        events_methods::SERVICE,
        events_methods::FORWARD,
        move |call| forward(events.clone(), shims.clone(), call.payload),
    );
    server.serve(listener, stopped(stop)).await.context("serve shims")
}

async fn forward(events: Arc<Exchange>, shims: Shims, body: Bytes) -> Result<Bytes, ttrpc::Status> {
    let step = kernel::trace::begin();
    let request =
        ForwardRequest::decode(body).map_err(|e| ttrpc::Status::new(ttrpc::Code::Internal, e.to_string()))?;
    let passed = Envelope::try_from(request).and_then(|envelope| {
        // Nothing, when it is not to be told any more.
        shims.pass(envelope, |envelope| events.pass_on(envelope)).unwrap_or(Ok(()))
    });
    passed.map_err(|e| wire::status::to_ttrpc(&e))?;
    step.end("daemon.event", "");
    Ok(Bytes::new())
}

async fn stopped(mut stop: Stop) {
    // The sender lives in `boot` until everything has stopped.
    stop.wait_for(|stop| *stop).await.ok();
}
