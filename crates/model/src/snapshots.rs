//! Snapshots: layered root file systems.
//!
//! Two contracts. [`Snapshotter`] is what clients see: keys, parents, kinds, labels, leases. [`Driver`] is what a
//! plugin author writes: six verbs on numbered directories. `engine::snapshots` is the one ledger between them.

use crate::filters::{self, Fields};
use crate::{Error, Labels, Mask, Mount, Result, Scope, Timestamp};
use async_trait::async_trait;
use std::borrow::Cow;

/// What a snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A read-only look at a committed snapshot.
    View,
    /// Writable, on its way to be committed or removed.
    Active,
    /// Immutable; may be a parent.
    Committed,
}

impl Kind {
    /// The word of filters: `view`, `active`, `committed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::View => "view",
            Kind::Active => "active",
            Kind::Committed => "committed",
        }
    }
}

/// What is known of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The key (active, view) or name (committed): free text.
    pub name: String,
    /// The parent's name, or empty.
    pub parent: String,
    /// What it is.
    pub kind: Kind,
    /// When it was made or committed.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Labels.
    pub labels: Labels,
}

/// How much a snapshot occupies, without its parents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes on disk.
    pub size: i64,
    /// Inodes.
    pub inodes: i64,
}

/// A request for a new snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepare {
    /// The new key.
    pub key: String,
    /// The committed parent, or empty.
    pub parent: String,
    /// Labels.
    pub labels: Labels,
}

/// A request to commit an active snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The name it gets.
    pub name: String,
    /// The active snapshot's key; gone afterwards.
    pub key: String,
    /// The labels it gets; those of the active one are not kept.
    pub labels: Labels,
    /// A parent for an active snapshot that has none; empty otherwise.
    pub parent: String,
}

/// One snapshotter, as clients see it.
#[async_trait]
pub trait Snapshotter: Send + Sync {
    /// Errors: `NotFound`.
    async fn stat(&self, scope: &Scope, key: &str) -> Result<Info>;
    /// Changes labels. Errors: `NotFound`, `InvalidArgument`.
    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info>;
    /// Errors: `NotFound`.
    async fn usage(&self, scope: &Scope, key: &str) -> Result<Usage>;
    /// How to mount an active snapshot or a view. Errors: `NotFound`, `FailedPrecondition` for a committed one.
    async fn mounts(&self, scope: &Scope, key: &str) -> Result<Vec<Mount>>;
    /// A writable snapshot. Errors: `AlreadyExists`, `NotFound` (the parent), `InvalidArgument`.
    async fn prepare(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>>;
    /// A read-only snapshot. Errors: as [`Snapshotter::prepare`].
    async fn view(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>>;
    /// Errors: `NotFound`, `AlreadyExists`, `FailedPrecondition`.
    async fn commit(&self, scope: &Scope, commit: Commit) -> Result<()>;
    /// Errors: `NotFound`, `FailedPrecondition` while it has children.
    async fn remove(&self, scope: &Scope, key: &str) -> Result<()>;
    /// The snapshots that match any filter, in key order.
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>>;
    /// Whether there is [`Snapshotter::cleanup`], as far as is known.
    fn has_cleanup(&self) -> bool {
        true
    }
    /// Frees what removed snapshots left. Errors: `NotImplemented`.
    async fn cleanup(&self, scope: &Scope) -> Result<()>;
}

/// The refusal of a snapshotter without [`Snapshotter::cleanup`].
pub fn no_cleanup() -> Error {
    Error::not_implemented("snapshotter does not implement Cleanup method")
}

/// A snapshot as its driver knows it: a number, and the numbers of its parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The number of its directory; unique per driver, never used twice.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// The numbers of its parents, nearest first.
    pub parents: Vec<u64>,
    /// The labels that concern a driver (`containerd.io/snapshot/…`, `containerd.io/snapshot.ref`).
    pub labels: Labels,
}

/// The disk half of a snapshotter: synchronous, on numbered directories below its root. It knows no keys, namespaces or
/// leases, keeps no metadata and may be called from several threads at once for different numbers.
pub trait Driver: Send + Sync {
    /// Whether it can work here; called once, before anything else. Errors name what is missing and what to do.
    fn probe(&self) -> Result<()>;
    /// Makes the directory of a new active snapshot or view. Nothing is left behind on an error.
    fn create(&self, layer: &Layer) -> Result<()>;
    /// How to mount it. Called for active snapshots and views, whoever works on them; no I/O.
    fn mounts(&self, layer: &Layer) -> Result<Vec<Mount>>;
    /// What it occupies, without its parents; whoever works on it, and without an error for what they remove meanwhile.
    fn usage(&self, layer: &Layer) -> Result<Usage>;
    /// Makes an active snapshot immutable; its number stays. Returns what it occupies.
    fn commit(&self, layer: &Layer) -> Result<Usage>;
    /// Removes the directory; no error if it is gone.
    fn remove(&self, id: u64) -> Result<()>;
    /// The numbers of all directories there are, for the collector.
    fn list(&self) -> Result<Vec<u64>>;
    /// Whether an active snapshot without parents may get one at commit (parallel unpack).
    fn can_rebase(&self) -> bool {
        false
    }
    /// What clients are told it can do: `remap-ids` (mounts map ids), `only-remap-ids` (nothing else does), `rebase`. Called
    /// after [`Driver::probe`].
    fn capabilities(&self) -> Vec<&'static str> {
        Vec::new()
    }
    /// What it adds to the labels of a snapshot; no I/O.
    fn labels(&self, _id: u64) -> Labels {
        Labels::new()
    }
}

impl Fields for Info {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["name", ..] => Some(Cow::Borrowed(&self.name)),
            ["parent", ..] => Some(Cow::Borrowed(&self.parent)),
            ["kind", ..] => Some(Cow::Borrowed(self.kind.as_str())),
            ["labels", key @ ..] => filters::label(&self.labels, key),
            _ => None,
        }
    }
}
