//! The nouns of a container runtime: data, ids, rules, state machines, traits and errors.
//!
//! Nothing here performs I/O, reads a clock or knows a protocol. Each noun has one file, and the same file name in
//! every other room of the house: `engine/src/<noun>.rs` holds its use-cases, `wire/src/<noun>.rs` its messages,
//! `grpc/src/<noun>.rs` its service. A trait in a noun's file is what the noun promises; `engine` and `client` both
//! implement it, so whoever holds the trait cannot tell whether the daemon is in the same process.

pub mod any;
pub mod containers;
pub mod content;
pub mod diff;
pub mod error;
pub mod events;
pub mod filters;
pub mod ids;
pub mod images;
pub mod labels;
pub mod leases;
pub mod masks;
pub mod mounts;
pub mod namespaces;
pub mod plugins;
pub mod registries;
pub mod sandboxes;
pub mod scope;
pub mod snapshots;
pub mod streams;
pub mod tasks;
pub mod time;
pub mod transfer;

pub use any::Any;
pub use error::{Error, Kind, Result};
pub use ids::{ContainerId, ExecId, Namespace};
pub use labels::Labels;
pub use masks::Mask;
pub use mounts::Mount;
pub use scope::Scope;
pub use time::Timestamp;
