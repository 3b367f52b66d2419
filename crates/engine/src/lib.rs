//! The use-cases of the daemon, one file per noun.
//!
//! The engine names traits only: a store of rows, blobs, snapshot drivers and a task runtime are handed to it.
//! It knows no socket, no protobuf and no implementation.

mod claims;
pub mod clock;
mod containers;
pub mod content;
mod database;
pub mod diff;
pub mod disk;
mod engine;
pub mod events;
mod fresh;
pub mod gc;
mod images;
mod leased;
mod leases;
mod masks;
mod namespaces;
mod pipe;
pub mod plugins;
mod sandboxes;
mod snapshots;
pub mod streams;
pub mod tasks;
pub mod transfer;

pub use disk::to_end;
pub use engine::{Engine, Parts};
