//! containerd's gRPC services over the model's traits, one file per service.
//!
//! A service reads the scope from the metadata, converts the message (`wire`), asks the trait, converts the answer. It
//! decides nothing, except the order of messages on a stream. Not here: sockets (the daemon's), rules (the engine's).
//! A method that is not built answers `UNIMPLEMENTED` and names itself.

mod containers;
mod content;
mod diff;
mod events;
mod health;
mod images;
mod introspection;
mod leases;
mod namespaces;
mod sandboxes;
mod snapshots;
mod streams;
mod tasks;
mod texts;
mod transfer;
mod version;
mod write;

use futures_core::Stream;
use model::{Error, Scope};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use texts::Reworded;
use tonic::codegen::http;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};
use wire::api;

/// Everything that is served.
#[derive(Clone)]
#[expect(
    missing_docs,
    reason = "each field is the service of the same name; the last becomes true when the daemon is about to stop"
)]
pub struct Services {
    pub namespaces: Arc<dyn model::namespaces::Namespaces>,
    pub containers: Arc<dyn model::containers::Containers>,
    pub images: Arc<dyn model::images::Images>,
    pub content: Arc<dyn model::content::Content>,
    pub snapshotters: BTreeMap<String, Arc<dyn model::snapshots::Snapshotter>>,
    pub leases: Arc<dyn model::leases::Leases>,
    pub sandboxes: Arc<dyn model::sandboxes::Sandboxes>,
    pub diff: Arc<dyn model::diff::Diff>,
    pub events: Arc<dyn model::events::Events>,
    pub tasks: Arc<dyn model::tasks::Tasks>,
    pub transfer: Arc<dyn model::transfer::Transfer>,
    pub accept: Arc<dyn model::streams::Accept>,
    pub introspection: Arc<dyn model::plugins::Introspection>,
    pub stopping: tokio::sync::watch::Receiver<bool>,
}

/// The largest messages, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Taken.
    pub receive: usize,
    /// Sent.
    pub send: usize,
}

/// The services as routes for a server.
pub fn routes(services: &Services, limits: Limits) -> tonic::service::Routes {
    let mut routes = RoutesBuilder::default();
    macro_rules! serve {
        ($module:ident :: $server:ident :: $kind:ident, $service:expr) => {
            routes.add_service(Reworded(
                api::$module::$server::$kind::new($service)
                    .max_decoding_message_size(limits.receive)
                    .max_encoding_message_size(limits.send),
            ));
        };
    }
    let s = services.clone();
    serve!(namespaces::namespaces_server::NamespacesServer, namespaces::Service(s.namespaces));
    serve!(containers::containers_server::ContainersServer, containers::Service(s.containers));
    serve!(images::images_server::ImagesServer, images::Service(s.images));
    serve!(content::content_server::ContentServer, content::Service(s.content));
    serve!(snapshots::snapshots_server::SnapshotsServer, snapshots::Service(s.snapshotters));
    serve!(leases::leases_server::LeasesServer, leases::Service(s.leases));
    serve!(sandboxes::store_server::StoreServer, sandboxes::Service(s.sandboxes));
    serve!(diff::diff_server::DiffServer, diff::Service(s.diff));
    serve!(events::events_server::EventsServer, events::Service(s.events));
    serve!(tasks::tasks_server::TasksServer, tasks::Service(s.tasks));
    serve!(transfer::transfer_server::TransferServer, transfer::Service::new(s.transfer, s.accept.clone()));
    serve!(streams::streaming_server::StreamingServer, streams::Service(s.accept));
    serve!(
        introspection::introspection_server::IntrospectionServer,
        introspection::Service(s.introspection.clone())
    );
    serve!(version::version_server::VersionServer, version::Service(s.introspection));
    serve!(health::health_server::HealthServer, health::Service(s.stopping));
    let unknown = |uri: http::Uri| async move { texts::unknown_service(&uri) };
    routes.routes().into_axum_router().fallback(unknown).into()
}

/// What a method answers.
type Answer<T> = Result<Response<T>, Status>;

/// Messages on their way to a client.
type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// On whose behalf a request runs.
fn scope<T>(request: &Request<T>) -> Result<Scope, Status> {
    wire::headers::from_metadata(request.metadata()).map_err(status)
}

/// An error as the client sees it; the whole chain goes to the log.
fn status(error: Error) -> Status {
    tracing::debug!(?error, "request failed");
    wire::status::to_grpc(&error)
}

/// An answer of one message.
fn answer<T>(message: T) -> Answer<T> {
    Ok(Response::new(message))
}

/// An answer of several messages that are all there.
fn stream<T: Send + 'static>(messages: Vec<T>) -> Answer<Messages<T>> {
    Ok(Response::new(Box::pin(tokio_stream::iter(messages.into_iter().map(Ok)))))
}

/// The answer of a method that is not built.
fn unimplemented<T>(method: &str) -> Answer<T> {
    Err(status(Error::not_implemented(method)))
}
