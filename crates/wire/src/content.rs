//! Blobs and ingests across the wire.
//!
//! Each method refuses a bad digest in its own words, and clients print them; hence three ways to read one.

use model::content::{Commit, Info, Ingest, Status};
use model::{Error, Kind, Mask, Result};
use oci::Digest;

use crate::api::content::{self, UpdateRequest, WriteContentRequest};
use crate::fields::{mask, required, time, wire_mask, wire_time};

/// The digest of an info or update request.
///
/// # Errors
/// `InvalidArgument`: `"x" failed validation`.
pub fn info_digest(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|_| refuse(format!("{text:?} failed validation")))
}

/// The digest of a delete request.
///
/// # Errors
/// `InvalidArgument`: what is wrong with it, without the text itself.
pub fn delete_digest(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|e| refuse(e.to_string()))
}

/// The digest of a read request, and of everything else.
///
/// # Errors
/// `InvalidArgument`: `x: ` and what is wrong with it.
pub fn read_digest(text: &str) -> Result<Digest> {
    Digest::parse(text).map_err(|e| refuse(format!("{text}: {e}")))
}

fn refuse(text: String) -> Error {
    Error::new(Kind::InvalidArgument, text)
}

impl TryFrom<content::Info> for Info {
    type Error = Error;
    fn try_from(wire: content::Info) -> Result<Self> {
        Ok(Self {
            digest: info_digest(&wire.digest)?,
            size: wire.size.max(0).cast_unsigned(),
            created_at: time(wire.created_at),
            updated_at: time(wire.updated_at),
            labels: wire.labels,
        })
    }
}

impl From<Info> for content::Info {
    fn from(info: Info) -> Self {
        Self {
            digest: info.digest.to_string(),
            size: signed(info.size),
            created_at: wire_time(info.created_at),
            updated_at: wire_time(info.updated_at),
            labels: info.labels,
        }
    }
}

impl TryFrom<UpdateRequest> for (Info, Mask) {
    type Error = Error;
    fn try_from(request: UpdateRequest) -> Result<Self> {
        Ok((required(request.info, "info")?.try_into()?, mask(request.update_mask)))
    }
}

impl From<(Info, Mask)> for UpdateRequest {
    fn from((info, mask): (Info, Mask)) -> Self {
        Self { info: Some(info.into()), update_mask: wire_mask(mask) }
    }
}

impl From<content::Status> for Status {
    fn from(wire: content::Status) -> Self {
        Self {
            reference: wire.r#ref,
            offset: wire.offset.max(0).cast_unsigned(),
            total: wire.total,
            expected: wire.expected,
            started_at: time(wire.started_at),
            updated_at: time(wire.updated_at),
        }
    }
}

impl From<Status> for content::Status {
    fn from(status: Status) -> Self {
        Self {
            started_at: wire_time(status.started_at),
            updated_at: wire_time(status.updated_at),
            r#ref: status.reference,
            offset: signed(status.offset),
            total: status.total,
            expected: status.expected,
        }
    }
}

/// What the first message of a write says about its ingest.
impl From<&WriteContentRequest> for Ingest {
    fn from(request: &WriteContentRequest) -> Self {
        Self { reference: request.r#ref.clone(), total: request.total, expected: request.expected.clone() }
    }
}

/// What a committing message says by itself; totals and digests of earlier messages are the stream's to remember.
impl From<WriteContentRequest> for Commit {
    fn from(request: WriteContentRequest) -> Self {
        Self { size: request.total, expected: request.expected, labels: request.labels }
    }
}

/// A size or an offset on the wire, which knows no more than 63 bits.
pub fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
