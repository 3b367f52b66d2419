//! Blobs on disk, exactly where containerd puts them.
//!
//! ```text
//! <root>/blobs/<algorithm>/<hex>              a blob: mode 0444, its mtime says when its ingest began
//! <root>/ingest/<sha256 of the ref>/data      bytes of an ingest so far
//!                                  /ref       the ref; written last, so that an ingest without it is torn
//!                                  /startedat when it was opened first, RFC 3339
//!                                  /updatedat when it was opened last
//!                                  /total     the size it is to have, if known
//! ```
//!
//! A blob appears by a rename once its bytes are durable, so what stands under a digest is whole. Not here: namespaces,
//! labels, leases (the engine's); verifying a blob again while it is read.

mod ingest;
mod locks;
mod store;

pub use store::Store;
