//! Digests, descriptors, manifests, references, platforms and the runtime spec as pure values.
//!
//! Values here are valid once they exist; reading strangers' JSON takes `null` for empty. Not here: files, sockets,
//! the host's state.

pub mod base64;
pub mod config;
pub mod descriptor;
pub mod digest;
pub mod index;
mod json;
pub mod manifest;
pub mod matcher;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod runtime;

pub use config::ImageConfig;
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, DigestError, Digester};
pub use index::Index;
pub use manifest::{Manifest, chain_id, chain_ids, children};
pub use matcher::Matcher;
pub use platform::Platform;
pub use reference::Reference;
