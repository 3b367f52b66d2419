//! Every model trait over gRPC: for the command line and for proxy plugins.
//!
//! One [`Client`] is one connection and implements every trait; [`Client::snapshotter`] is the same connection with a
//! snapshotter's name. Each noun has its file: the request is built from the model, sent, and the answer or the
//! refusal converted back (`wire`). [`words`] puts payloads into words for people. Nothing is decided, kept or tried
//! again here; a connection that broke is made anew by the next call.

mod connect;
mod containers;
mod content;
mod diff;
mod events;
mod images;
mod leases;
mod namespaces;
mod plugins;
mod registries;
mod sandboxes;
mod snapshots;
mod streams;
mod tasks;
mod transfer;
pub mod words;
mod write;

pub use connect::Client;
pub use registries::answer_questions;
pub use snapshots::Snapshotter;

use model::{Result, Scope};
use tonic::Request;

/// A stub of a generated client on this client's connection, with containerd's message limits.
macro_rules! stub {
    ($client:expr, $module:ident :: $inner:ident :: $kind:ident) => {
        wire::api::$module::$inner::$kind::new($client.channel())
            .max_decoding_message_size($crate::connect::MESSAGE_LIMIT)
            .max_encoding_message_size($crate::connect::MESSAGE_LIMIT)
    };
}
use stub;

/// A request on behalf of a scope.
fn scoped<T>(scope: &Scope, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    wire::headers::into_metadata(scope, request.metadata_mut())?;
    Ok(request)
}
