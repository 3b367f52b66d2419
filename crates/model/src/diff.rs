//! Diffs: a layer becomes a directory, two directories become a layer.

use crate::{Any, Labels, Mount, Result, Scope, Timestamp, content, images::Target};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

/// A request to put a layer into a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apply {
    /// The layer.
    pub diff: Target,
    /// Where it goes.
    pub mounts: Vec<Mount>,
    /// Payloads for stream processors, by their id.
    pub payloads: BTreeMap<String, Any>,
    /// Make the result durable before answering.
    pub sync_fs: bool,
}

/// A request for the difference between two file systems as a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compare {
    /// The older one.
    pub lower: Vec<Mount>,
    /// The newer one.
    pub upper: Vec<Mount>,
    /// The layer's media type; empty for tar+gzip.
    pub media_type: String,
    /// The ingest's ref; empty for a fresh one.
    pub reference: String,
    /// Labels for the blob.
    pub labels: Labels,
    /// No time in the layer is later.
    pub source_date: Option<Timestamp>,
}

/// The diff service.
#[async_trait]
pub trait Diff: Send + Sync {
    /// Returns the uncompressed layer's descriptor: its digest is the diffID. Errors: `NotFound` (the blob).
    async fn apply(&self, scope: &Scope, apply: Apply) -> Result<Target>;
    /// Returns the new blob's descriptor.
    async fn compare(&self, scope: &Scope, compare: Compare) -> Result<Target>;
}

/// What a differ measured while a layer went by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the uncompressed layer.
    pub diff_id: oci::Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// The disk half of diffing: the contract of a differ plugin. Synchronous.
pub trait Driver: Send + Sync {
    /// Unpacks a layer stream into the mounts, verifying nothing but its form; the caller compares the diffID.
    /// Errors: `NotImplemented` for a media type that is not its own, so that the next differ is asked.
    fn apply(&self, apply: &Apply, layer: &mut (dyn Read + Send)) -> Result<Applied>;
    /// Writes the difference, in the media type asked for, to `out`; returns the uncompressed layer's digest and size.
    /// Errors: `NotImplemented` for a media type it cannot write.
    fn compare(&self, compare: &Compare, out: &mut (dyn Write + Send)) -> Result<Applied>;
}

/// Opens a blob as a synchronous stream, for a [`Driver`].
pub struct BlobStream {
    blob: Arc<dyn content::Blob>,
    offset: u64,
}

impl BlobStream {
    /// A stream over the whole blob.
    pub fn new(blob: Arc<dyn content::Blob>) -> Self {
        Self { blob, offset: 0 }
    }
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.blob.read_at(buffer, self.offset).map_err(std::io::Error::other)?;
        self.offset += n as u64;
        Ok(n)
    }
}
