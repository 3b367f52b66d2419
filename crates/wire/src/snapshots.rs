//! Snapshots across the wire.

use model::snapshots::{Commit, Info, Kind, Prepare, Usage};
use model::{Error, Mask, Result};

use crate::api::snapshots::{
    self, CommitSnapshotRequest, PrepareSnapshotRequest, UpdateSnapshotRequest, UsageResponse,
    ViewSnapshotRequest,
};
use crate::fields::{mask, required, time, wire_mask, wire_time};

impl From<Kind> for snapshots::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::View => snapshots::Kind::View,
            Kind::Active => snapshots::Kind::Active,
            Kind::Committed => snapshots::Kind::Committed,
        }
    }
}

impl From<snapshots::Kind> for Option<Kind> {
    fn from(wire: snapshots::Kind) -> Self {
        match wire {
            snapshots::Kind::Unknown => None,
            snapshots::Kind::View => Some(Kind::View),
            snapshots::Kind::Active => Some(Kind::Active),
            snapshots::Kind::Committed => Some(Kind::Committed),
        }
    }
}

fn info(wire: snapshots::Info, kind: Kind) -> Info {
    Info {
        name: wire.name,
        parent: wire.parent,
        kind,
        created_at: time(wire.created_at),
        updated_at: time(wire.updated_at),
        labels: wire.labels,
    }
}

/// What a server reports; a snapshot without a kind is an error.
impl TryFrom<snapshots::Info> for Info {
    type Error = Error;
    fn try_from(wire: snapshots::Info) -> Result<Self> {
        let kind: Option<Kind> = wire.kind().into();
        let kind =
            kind.ok_or_else(|| Error::invalid(format!("snapshot {:?} has kind {}", wire.name, wire.kind)))?;
        Ok(info(wire, kind))
    }
}

impl From<Info> for snapshots::Info {
    fn from(info: Info) -> Self {
        Self {
            name: info.name,
            parent: info.parent,
            kind: snapshots::Kind::from(info.kind).into(),
            created_at: wire_time(info.created_at),
            updated_at: wire_time(info.updated_at),
            labels: info.labels,
        }
    }
}

/// What a client wants changed; it need not know the kind, which cannot change.
impl TryFrom<UpdateSnapshotRequest> for (Info, Mask) {
    type Error = Error;
    fn try_from(request: UpdateSnapshotRequest) -> Result<Self> {
        let wire = required(request.info, "info")?;
        let kind: Option<Kind> = wire.kind().into();
        Ok((info(wire, kind.unwrap_or(Kind::Active)), mask(request.update_mask)))
    }
}

/// The snapshotter's name, the record, the mask.
impl From<(String, Info, Mask)> for UpdateSnapshotRequest {
    fn from((snapshotter, info, mask): (String, Info, Mask)) -> Self {
        Self { snapshotter, info: Some(info.into()), update_mask: wire_mask(mask) }
    }
}

impl From<UsageResponse> for Usage {
    fn from(wire: UsageResponse) -> Self {
        Self { size: wire.size, inodes: wire.inodes }
    }
}

impl From<Usage> for UsageResponse {
    fn from(usage: Usage) -> Self {
        Self { size: usage.size, inodes: usage.inodes }
    }
}

impl From<PrepareSnapshotRequest> for Prepare {
    fn from(request: PrepareSnapshotRequest) -> Self {
        Self { key: request.key, parent: request.parent, labels: request.labels }
    }
}

impl From<ViewSnapshotRequest> for Prepare {
    fn from(request: ViewSnapshotRequest) -> Self {
        Self { key: request.key, parent: request.parent, labels: request.labels }
    }
}

/// The snapshotter's name and the request.
impl From<(String, Prepare)> for PrepareSnapshotRequest {
    fn from((snapshotter, prepare): (String, Prepare)) -> Self {
        Self { snapshotter, key: prepare.key, parent: prepare.parent, labels: prepare.labels }
    }
}

/// The snapshotter's name and the request.
impl From<(String, Prepare)> for ViewSnapshotRequest {
    fn from((snapshotter, prepare): (String, Prepare)) -> Self {
        Self { snapshotter, key: prepare.key, parent: prepare.parent, labels: prepare.labels }
    }
}

impl From<CommitSnapshotRequest> for Commit {
    fn from(request: CommitSnapshotRequest) -> Self {
        Self { name: request.name, key: request.key, labels: request.labels, parent: request.parent }
    }
}

/// The snapshotter's name and the request.
impl From<(String, Commit)> for CommitSnapshotRequest {
    fn from((snapshotter, commit): (String, Commit)) -> Self {
        Self { snapshotter, name: commit.name, key: commit.key, labels: commit.labels, parent: commit.parent }
    }
}
