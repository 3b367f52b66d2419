//! Bytes to model and back: the generated messages, every conversion, and the tables of status codes.
//!
//! - [`proto`] nests the generated code as the protobuf packages nest; [`api`] names the same packages shortly.
//! - [`Any`] is a message inside a message; [`typeurl`] knows how containerd names what is in it.
//! - One file per noun converts between messages and `model`; nothing here decides anything.
//! - [`status`] holds the tables of error codes, [`headers`] how a request says on whose behalf it runs, [`fields`]
//!   the parts that messages share.
//! - [`shape`], [`fieldpath`] and [`json`] read event payloads without knowing their Rust type.
//!
//! Without the feature `grpc` there are messages only: that is what the shim is built with.

mod any;
pub mod containers;
pub mod content;
pub mod diff;
pub mod events;
pub mod fieldpath;
pub mod fields;
pub mod headers;
pub mod images;
pub mod json;
pub mod leases;
pub mod mounts;
pub mod namespaces;
pub mod plugins;
#[allow(missing_docs, clippy::all, clippy::unwrap_used, reason = "generated code, described in proto/")]
#[path = "gen/mod.rs"]
pub mod proto;
pub mod registries;
pub mod sandboxes;
pub mod shape;
pub mod shims;
pub mod snapshots;
pub mod status;
pub mod streams;
pub mod tasks;
pub mod transfer;
pub mod typeurl;

pub use any::Any;
pub use prost::{Message, Name};
pub use prost_types::{Duration, FieldMask, Timestamp};

/// The generated packages under short names, without their versions.
pub mod api {
    pub use crate::proto::containerd::events as event;
    pub use crate::proto::containerd::runc::v1 as runc;
    pub use crate::proto::containerd::runhcs::v1 as runhcs;
    pub use crate::proto::containerd::runtime::bootstrap::v1 as bootstrap;
    pub use crate::proto::containerd::runtime::sandbox::v1 as shim_sandbox;
    pub use crate::proto::containerd::services::containers::v1 as containers;
    pub use crate::proto::containerd::services::content::v1 as content;
    pub use crate::proto::containerd::services::diff::v1 as diff;
    pub use crate::proto::containerd::services::events::ttrpc::v1 as shim_events;
    pub use crate::proto::containerd::services::events::v1 as events;
    pub use crate::proto::containerd::services::images::v1 as images;
    pub use crate::proto::containerd::services::introspection::v1 as introspection;
    pub use crate::proto::containerd::services::leases::v1 as leases;
    pub use crate::proto::containerd::services::mounts::v1 as mounts;
    pub use crate::proto::containerd::services::namespaces::v1 as namespaces;
    pub use crate::proto::containerd::services::sandbox::v1 as sandboxes;
    pub use crate::proto::containerd::services::snapshots::v1 as snapshots;
    pub use crate::proto::containerd::services::streaming::v1 as streams;
    pub use crate::proto::containerd::services::tasks::v1 as tasks;
    pub use crate::proto::containerd::services::transfer::v1 as transfer;
    pub use crate::proto::containerd::services::version::v1 as version;
    pub use crate::proto::containerd::task::v2 as task_v2;
    pub use crate::proto::containerd::task::v3 as task_v3;
    pub use crate::proto::containerd::types;
    pub use crate::proto::containerd::types::transfer as endpoint;
    pub use crate::proto::containerd::v1::types as process;
    pub use crate::proto::google::rpc;
    pub use crate::proto::grpc::health::v1 as health;
    pub use crate::proto::io::containerd::cgroups::v1 as cgroups_v1;
    pub use crate::proto::io::containerd::cgroups::v2 as cgroups_v2;
    pub use crate::proto::runtimeoptions::v1 as runtimeoptions;
}
