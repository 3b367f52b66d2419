//! The metadata database: every record the daemon keeps, in one file, changed by transactions.
//!
//! ```text
//!   callers ──write(closure, done)──▶ queue ──▶ writer thread: drain what waits
//!                                                │ run each closure over the group's changes
//!                                                │ one durable commit for the group
//!                                                │ events of the group, in order
//!                                                ▼ each `done`, in order
//!   callers ──read(closure)──▶ a snapshot of the last commit, on the caller's thread
//! ```
//!
//! A closure that fails leaves no trace while the others of its group commit. Readers never wait for the writer.
//! The store knows records and keys; what a request means is the engine's business.
//!
//! Not here: blobs, snapshots' directories, anything asynchronous.

pub mod containers;
pub mod content;
mod file;
mod holder;
pub mod images;
mod keys;
pub mod leases;
mod migrations;
pub mod namespaces;
mod opened;
mod records;
pub mod sandboxes;
pub mod snapshots;
mod tables;
mod tx;
mod writer;

pub use file::Store;
pub use tx::{ReadTx, Rows, WriteTx};

/// What a write closure told the world, with the namespace it happened in.
pub type Happened = (String, model::events::Event);
