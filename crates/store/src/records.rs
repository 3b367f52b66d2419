//! Records as they lie on disk: protocol buffer messages, so that fields can be added without touching old rows.
//!
//! Field numbers are on disk: never reuse one. Every field of containerd's schema has its place here.

use model::containers::{Container, RuntimeChoice};
use model::content::Info as BlobInfo;
use model::images::{Image, Target};
use model::leases::Lease;
use model::sandboxes::Sandbox;
use model::{Any, Labels, Timestamp};
use prost::Message;
use std::collections::BTreeMap;

/// What the database says of itself, and counters.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct MetaRow {
    #[prost(uint64, tag = "1")]
    pub(crate) number: u64,
}

#[derive(Clone, Copy, PartialEq, Message)]
pub(crate) struct TimeRow {
    #[prost(sint64, tag = "1")]
    seconds: i64,
    #[prost(uint32, tag = "2")]
    nanos: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AnyRow {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamespaceRow {
    #[prost(btree_map = "string, string", tag = "1")]
    pub(crate) labels: Labels,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ContainerRow {
    #[prost(btree_map = "string, string", tag = "1")]
    labels: Labels,
    #[prost(string, tag = "2")]
    image: String,
    #[prost(string, tag = "3")]
    runtime: String,
    #[prost(message, optional, tag = "4")]
    runtime_options: Option<AnyRow>,
    #[prost(message, optional, tag = "5")]
    spec: Option<AnyRow>,
    #[prost(string, tag = "6")]
    snapshotter: String,
    #[prost(string, tag = "7")]
    snapshot_key: String,
    #[prost(message, optional, tag = "8")]
    created_at: Option<TimeRow>,
    #[prost(message, optional, tag = "9")]
    updated_at: Option<TimeRow>,
    #[prost(btree_map = "string, message", tag = "10")]
    extensions: BTreeMap<String, AnyRow>,
    #[prost(string, tag = "11")]
    sandbox: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ImageRow {
    #[prost(btree_map = "string, string", tag = "1")]
    labels: Labels,
    #[prost(string, tag = "2")]
    media_type: String,
    #[prost(string, tag = "3")]
    digest: String,
    #[prost(sint64, tag = "4")]
    size: i64,
    #[prost(btree_map = "string, string", tag = "5")]
    annotations: BTreeMap<String, String>,
    #[prost(message, optional, tag = "6")]
    created_at: Option<TimeRow>,
    #[prost(message, optional, tag = "7")]
    updated_at: Option<TimeRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct BlobRow {
    #[prost(btree_map = "string, string", tag = "1")]
    labels: Labels,
    #[prost(uint64, tag = "2")]
    size: u64,
    #[prost(message, optional, tag = "3")]
    created_at: Option<TimeRow>,
    #[prost(message, optional, tag = "4")]
    updated_at: Option<TimeRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IngestRow {
    #[prost(string, tag = "1")]
    pub(crate) backend: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) expires_at: Option<TimeRow>,
    #[prost(string, tag = "3")]
    pub(crate) expected: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SnapshotRow {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    /// 1 view, 2 active, 3 committed.
    #[prost(uint32, tag = "2")]
    pub(crate) kind: u32,
    #[prost(string, tag = "3")]
    pub(crate) parent: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) created_at: Option<TimeRow>,
    #[prost(message, optional, tag = "5")]
    pub(crate) updated_at: Option<TimeRow>,
    #[prost(btree_map = "string, string", tag = "6")]
    pub(crate) labels: Labels,
    #[prost(sint64, tag = "7")]
    pub(crate) size: i64,
    #[prost(sint64, tag = "8")]
    pub(crate) inodes: i64,
    /// The key a snapshotter behind an API knows it by; empty for a driver's numbers.
    #[prost(string, tag = "9")]
    pub(crate) backend: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LeaseRow {
    #[prost(btree_map = "string, string", tag = "1")]
    labels: Labels,
    #[prost(message, optional, tag = "2")]
    created_at: Option<TimeRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SandboxRow {
    #[prost(btree_map = "string, string", tag = "1")]
    labels: Labels,
    #[prost(bool, tag = "2")]
    has_runtime: bool,
    #[prost(string, tag = "3")]
    runtime: String,
    #[prost(message, optional, tag = "4")]
    runtime_options: Option<AnyRow>,
    #[prost(message, optional, tag = "5")]
    spec: Option<AnyRow>,
    #[prost(string, tag = "6")]
    sandboxer: String,
    #[prost(message, optional, tag = "7")]
    created_at: Option<TimeRow>,
    #[prost(message, optional, tag = "8")]
    updated_at: Option<TimeRow>,
    #[prost(btree_map = "string, message", tag = "9")]
    extensions: BTreeMap<String, AnyRow>,
}

impl TimeRow {
    pub(crate) fn new(time: Timestamp) -> Self {
        Self { seconds: time.seconds, nanos: time.nanos }
    }

    pub(crate) fn time(self) -> Timestamp {
        Timestamp { seconds: self.seconds, nanos: self.nanos }
    }
}

/// The time of a field that is always written.
pub(crate) fn time_or_never(row: Option<TimeRow>) -> Timestamp {
    row.map_or(Timestamp::NEVER, TimeRow::time)
}

impl AnyRow {
    fn new(any: &Any) -> Self {
        Self { type_url: any.type_url.clone(), value: any.value.to_vec() }
    }

    fn any(self) -> Any {
        Any { type_url: self.type_url, value: self.value.into() }
    }
}

fn write_all(any: &BTreeMap<String, Any>) -> BTreeMap<String, AnyRow> {
    any.iter().map(|(name, any)| (name.clone(), AnyRow::new(any))).collect()
}

fn read_all(rows: BTreeMap<String, AnyRow>) -> BTreeMap<String, Any> {
    rows.into_iter().map(|(name, row)| (name, row.any())).collect()
}

impl ContainerRow {
    pub(crate) fn new(c: &Container) -> Self {
        Self {
            labels: c.labels.clone(),
            image: c.image.clone(),
            runtime: c.runtime.name.clone(),
            runtime_options: c.runtime.options.as_ref().map(AnyRow::new),
            spec: c.spec.as_ref().map(AnyRow::new),
            snapshotter: c.snapshotter.clone(),
            snapshot_key: c.snapshot_key.clone(),
            created_at: Some(TimeRow::new(c.created_at)),
            updated_at: Some(TimeRow::new(c.updated_at)),
            extensions: write_all(&c.extensions),
            sandbox: c.sandbox.clone(),
        }
    }

    pub(crate) fn container(self, id: String) -> Container {
        Container {
            id,
            labels: self.labels,
            image: self.image,
            runtime: RuntimeChoice { name: self.runtime, options: self.runtime_options.map(AnyRow::any) },
            spec: self.spec.map(AnyRow::any),
            snapshotter: self.snapshotter,
            snapshot_key: self.snapshot_key,
            created_at: time_or_never(self.created_at),
            updated_at: time_or_never(self.updated_at),
            extensions: read_all(self.extensions),
            sandbox: self.sandbox,
        }
    }
}

impl ImageRow {
    pub(crate) fn new(image: &Image) -> Self {
        Self {
            labels: image.labels.clone(),
            media_type: image.target.media_type.clone(),
            digest: image.target.digest.clone(),
            size: image.target.size,
            annotations: image.target.annotations.clone(),
            created_at: Some(TimeRow::new(image.created_at)),
            updated_at: Some(TimeRow::new(image.updated_at)),
        }
    }

    pub(crate) fn image(self, name: String) -> Image {
        Image {
            name,
            labels: self.labels,
            target: Target {
                media_type: self.media_type,
                digest: self.digest,
                size: self.size,
                annotations: self.annotations,
            },
            created_at: time_or_never(self.created_at),
            updated_at: time_or_never(self.updated_at),
        }
    }
}

impl BlobRow {
    pub(crate) fn new(info: &BlobInfo) -> Self {
        Self {
            labels: info.labels.clone(),
            size: info.size,
            created_at: Some(TimeRow::new(info.created_at)),
            updated_at: Some(TimeRow::new(info.updated_at)),
        }
    }

    pub(crate) fn info(self, digest: oci::Digest) -> BlobInfo {
        BlobInfo {
            digest,
            size: self.size,
            created_at: time_or_never(self.created_at),
            updated_at: time_or_never(self.updated_at),
            labels: self.labels,
        }
    }
}

impl LeaseRow {
    pub(crate) fn new(lease: &Lease) -> Self {
        Self { labels: lease.labels.clone(), created_at: Some(TimeRow::new(lease.created_at)) }
    }

    pub(crate) fn lease(self, id: String) -> Lease {
        Lease { id, created_at: time_or_never(self.created_at), labels: self.labels }
    }
}

impl SandboxRow {
    pub(crate) fn new(s: &Sandbox) -> Self {
        let options = s.runtime.as_ref().and_then(|r| r.options.as_ref());
        Self {
            labels: s.labels.clone(),
            has_runtime: s.runtime.is_some(),
            runtime: s.runtime.as_ref().map(|r| r.name.clone()).unwrap_or_default(),
            runtime_options: options.map(AnyRow::new),
            spec: s.spec.as_ref().map(AnyRow::new),
            sandboxer: s.sandboxer.clone(),
            created_at: Some(TimeRow::new(s.created_at)),
            updated_at: Some(TimeRow::new(s.updated_at)),
            extensions: write_all(&s.extensions),
        }
    }

    pub(crate) fn sandbox(self, id: String) -> Sandbox {
        let options = self.runtime_options.map(AnyRow::any);
        Sandbox {
            id,
            labels: self.labels,
            runtime: self.has_runtime.then_some(RuntimeChoice { name: self.runtime, options }),
            spec: self.spec.map(AnyRow::any),
            sandboxer: self.sandboxer,
            created_at: time_or_never(self.created_at),
            updated_at: time_or_never(self.updated_at),
            extensions: read_all(self.extensions),
        }
    }
}
