//! The OCI distribution protocol over HTTP: resolve, authorise, fetch and push.
//!
//! ```text
//! reference ─▶ hosts (hosts.toml) ─▶ upstreams in order ─▶ exchange (authorise, retry, redirect) ─▶ transport (TLS, dial)
//! ```
//!
//! A [`Registries`] opens one [`model::registries::Repository`] a transfer; everything learned about a host (its
//! scheme, its challenges, tokens, idle connections) lives and dies with it. No blob is ever in memory as a whole, every
//! answer that is read whole has a limit, and every wait has a deadline. Not here: referrers, several connections for
//! one blob, content encodings (bytes are asked for as they are).

mod authorizer;
mod challenge;
mod exchange;
mod fetch;
mod hosts;
mod payload;
mod push;
mod refusal;
mod repository;
mod resolve;
mod tls;
mod token;
mod transport;
mod upstream;
mod url;

pub use repository::Registries;
