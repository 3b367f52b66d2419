//! The daemon's faces: gRPC for clients, ttrpc for shims' events.

use crate::socket::Socket;
use anyhow::{Context, Result};
use bytes::Bytes;
use grpc::Limits;
use model::events::{Envelope, Events};
use shims::Shims;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use wire::Message;
use wire::api::shim_events::{ForwardRequest, events_methods};

/// Becomes true when the daemon is to stop.
pub type Stop = watch::Receiver<bool>;

/// Serves clients until the daemon is to stop.
///
/// # Errors
/// The listener fails.
pub async fn grpc(mut socket: Socket, services: grpc::Services, limits: Limits, stop: Stop) -> Result<()> {
    let listener = socket.listener.take().context("the socket is served already")?;
    tonic::transport::Server::builder()
        .add_routes(grpc::routes(&services, limits))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped(stop))
        .await
        .context("serve clients")
}

/// Takes shims' events until the daemon is to stop.
///
/// # Errors
/// The listener fails.
pub async fn ttrpc(mut socket: Socket, events: Arc<dyn Events>, shims: Shims, stop: Stop) -> Result<()> {
    let listener = socket.listener.take().context("the socket is served already")?;
    let server = ttrpc::server::Server::default().unary(
        events_methods::SERVICE,
        events_methods::FORWARD,
        move |call| forward(events.clone(), shims.clone(), call.payload),
    );
    server.serve(listener, stopped(stop)).await.context("serve shims")
}

async fn forward(events: Arc<dyn Events>, shims: Shims, body: Bytes) -> Result<Bytes, ttrpc::Status> {
    let step = kernel::trace::begin();
    let request =
        ForwardRequest::decode(body).map_err(|e| ttrpc::Status::new(ttrpc::Code::Internal, e.to_string()))?;
    let forwarded = async {
        let envelope = Envelope::try_from(request)?;
        if shims.observe(&envelope) {
            events.forward(envelope).await?;
        }
        Ok::<_, model::Error>(())
    };
    forwarded.await.map_err(|e| wire::status::to_ttrpc(&e))?;
    step.end("daemon.event", "");
    Ok(Bytes::new())
}

async fn stopped(mut stop: Stop) {
    // The sender lives in `boot` until everything has stopped.
    stop.wait_for(|stop| *stop).await.ok();
}
