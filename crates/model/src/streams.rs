//! Streams: named two-way pipes of typed messages between a client and the service that looks their name up.

use crate::{Any, Result, Scope};
use async_trait::async_trait;

/// One end of a stream.
#[async_trait]
pub trait Stream: Send + Sync {
    /// Sends a message; waits while the peer is slow. Errors: `Unavailable` once the peer is gone.
    async fn send(&self, message: Any) -> Result<()>;
    /// The next message; `None` when the peer has closed its side.
    async fn receive(&self) -> Result<Option<Any>>;
    /// Ends the stream.
    async fn close(&self);
}

/// The streaming service, from the side of those who use streams.
#[async_trait]
pub trait Streams: Send + Sync {
    /// Opens a stream under a name. Errors: `AlreadyExists`.
    async fn open(&self, scope: &Scope, id: &str) -> Result<Box<dyn Stream>>;
}
