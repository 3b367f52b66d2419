//! The use-cases of the daemon, one file per noun.
//!
//! The engine names traits only: a store of rows, blobs, snapshot drivers and a task runtime are handed to it.
//! It knows no socket, no protobuf and no implementation.

pub mod clock;
pub mod containers;
pub mod content;
pub mod diff;
pub mod disk;
pub mod events;
pub mod gc;
pub mod images;
pub mod leases;
pub mod namespaces;
pub mod plugins;
pub mod sandboxes;
pub mod snapshots;
pub mod streams;
pub mod tasks;
pub mod transfer;

pub use disk::disk;
