//! The ttrpc protocol: frames, client and server.
//!
//! A connection is a Unix socket carrying frames: a ten byte header and a body of at most 4 MiB. A client opens
//! a stream with an odd, strictly increasing number by a request frame; the peer answers it with a response
//! frame, in any order. Streaming calls exchange data frames in between.
//!
//! | file | what | runs on |
//! |---|---|---|
//! | [`frame`] | header, flags, incremental decoder | memory |
//! | [`message`] | request and response bodies | memory |
//! | [`status`] | code and text of a refusal | memory |
//! | [`server_sync`], [`client_sync`] | non-blocking halves for a caller's epoll loop | the caller's thread |
//! | `server`, `client` (feature `tokio`) | the same for async programs | one task per connection |
//!
//! Not here: names of services, conversion of statuses to the project's errors, TLS, TCP.

#[cfg(feature = "tokio")]
pub mod client;
pub mod client_sync;
pub mod frame;
pub mod message;
pub mod peer;
#[cfg(feature = "tokio")]
pub mod server;
pub mod server_sync;
pub mod status;

pub use bytes::Bytes;
pub use frame::{Frame, MESSAGE_LIMIT};
pub use message::{Call, KeyValue, Request, Response};
pub use status::{Code, Status};
