//! Layers and differences across the wire.

use model::diff::{Apply, Compare};
use model::{Error, Result};

use crate::api::diff::{ApplyRequest, DiffRequest};
use crate::fields::{list, map, optional_time, required, wire_time};

impl TryFrom<ApplyRequest> for Apply {
    type Error = Error;
    fn try_from(request: ApplyRequest) -> Result<Self> {
        Ok(Self {
            diff: required(request.diff, "diff")?.into(),
            mounts: list(request.mounts),
            payloads: map(request.payloads),
            sync_fs: request.sync_fs,
        })
    }
}

impl From<Apply> for ApplyRequest {
    fn from(apply: Apply) -> Self {
        Self {
            diff: Some(apply.diff.into()),
            mounts: list(apply.mounts),
            payloads: map(apply.payloads),
            sync_fs: apply.sync_fs,
        }
    }
}

impl From<DiffRequest> for Compare {
    fn from(request: DiffRequest) -> Self {
        Self {
            lower: list(request.left),
            upper: list(request.right),
            media_type: request.media_type,
            reference: request.r#ref,
            labels: request.labels,
            source_date: optional_time(request.source_date_epoch),
        }
    }
}

impl From<Compare> for DiffRequest {
    fn from(compare: Compare) -> Self {
        Self {
            left: list(compare.lower),
            right: list(compare.upper),
            media_type: compare.media_type,
            r#ref: compare.reference,
            labels: compare.labels,
            source_date_epoch: compare.source_date.and_then(wire_time),
        }
    }
}
