//! The tables: a fixed list. A table is the first byte of its keys, all rows lie in one tree.
//!
//! One tree instead of one per table: a commit rewrites the path to each changed leaf, and in a small database the
//! rows that one request changes lie close together.

/// A table. Numbers are on disk: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Table {
    /// name → what the database says of itself.
    Meta = 1,
    /// name → the last number given out.
    Counter = 2,
    /// namespace → labels.
    Namespace = 10,
    /// namespace, id → container.
    Container = 20,
    /// namespace, name → image.
    Image = 30,
    /// namespace, digest → blob.
    Blob = 40,
    /// namespace, ref → ingest.
    Ingest = 41,
    /// namespace, snapshotter, key → snapshot.
    Snapshot = 50,
    /// namespace, snapshotter, parent, child → nothing.
    SnapshotChild = 51,
    /// namespace, id → lease.
    Lease = 60,
    /// namespace, lease, type, id → nothing.
    LeaseResource = 61,
    // 62 was the way from a resource to its leases; nobody reads what is left of it.
    /// namespace, id → sandbox.
    Sandbox = 70,
}
