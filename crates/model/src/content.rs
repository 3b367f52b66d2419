//! Content: immutable blobs named by their digest, and the ingests that become blobs.
//!
//! Two contracts. [`Content`] is what clients see: namespaced, labelled, leased, asynchronous. [`Blobs`] is the disk
//! under it: one flat store of bytes, synchronous, without labels or namespaces. The engine writes the difference.

use crate::filters::{self, Fields};
use crate::{Labels, Mask, Result, Scope, Timestamp};
use async_trait::async_trait;
use bytes::Bytes;
use oci::Digest;
use std::borrow::Cow;

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// When it joined the namespace (in [`Blobs`]: when it was written).
    pub created_at: Timestamp,
    /// When its labels were last changed.
    pub updated_at: Timestamp,
    /// Labels; empty in [`Blobs`].
    pub labels: Labels,
}

/// The state of an ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its ref, as the client named it.
    pub reference: String,
    /// Bytes written so far.
    pub offset: u64,
    /// Bytes expected; 0 when unknown. Clients may write nonsense here, and read it back.
    pub total: i64,
    /// The digest it was opened for, as text (unchecked); empty when unknown.
    pub expected: String,
    /// When it was opened first.
    pub started_at: Timestamp,
    /// When it was written last.
    pub updated_at: Timestamp,
}

/// How to open an ingest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ingest {
    /// The ref: free text; one writer at a time.
    pub reference: String,
    /// The size, if known; 0 otherwise.
    pub total: i64,
    /// The digest, if known; unchecked text, empty otherwise.
    pub expected: String,
}

/// How to end an ingest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// The size it must have; 0 for any.
    pub size: i64,
    /// The digest it must have; empty for any.
    pub expected: String,
    /// The blob's labels.
    pub labels: Labels,
}

/// The content service.
#[async_trait]
pub trait Content: Send + Sync {
    /// Errors: `NotFound`.
    async fn info(&self, scope: &Scope, digest: &Digest) -> Result<Info>;
    /// Replaces labels. Errors: `NotFound`, `InvalidArgument`.
    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info>;
    /// The blobs that match any filter, in digest order.
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>>;
    /// Removes the blob from the namespace; the bytes go with the next collection. Errors: `NotFound`.
    async fn delete(&self, scope: &Scope, digest: &Digest) -> Result<()>;
    /// Errors: `NotFound`.
    async fn status(&self, scope: &Scope, reference: &str) -> Result<Status>;
    /// The ingests whose `ref` matches any filter.
    async fn statuses(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Status>>;
    /// Drops an ingest. Errors: `NotFound`.
    async fn abort(&self, scope: &Scope, reference: &str) -> Result<()>;
    /// Opens a blob. Errors: `NotFound`.
    async fn reader(&self, scope: &Scope, digest: &Digest) -> Result<Box<dyn Reader>>;
    /// Opens or resumes an ingest. Errors: `AlreadyExists` (the expected blob is there), `Unavailable` (another
    /// writer holds the ref), `InvalidArgument`.
    async fn writer(&self, scope: &Scope, ingest: Ingest) -> Result<Box<dyn Writer>>;
}

/// An open blob.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// At most `max` bytes from `offset` on; empty at the end.
    async fn read_at(&self, offset: u64, max: usize) -> Result<Bytes>;
    /// The blob as a file, where it is one: lets a reader in the same process skip the copies.
    fn as_file(&self) -> Option<&std::fs::File> {
        None
    }
}

/// An open ingest. Dropping it keeps the bytes, to be resumed.
#[async_trait]
pub trait Writer: Send {
    /// Where it stands.
    async fn status(&mut self) -> Result<Status>;
    /// The digest of the bytes so far.
    async fn digest(&mut self) -> Result<Digest>;
    /// Says which blob it is to become. Errors: `AlreadyExists` when that has come to the namespace by another way: then
    /// the ingest is gone.
    async fn expect(&mut self, _digest: &Digest) -> Result<()> {
        Ok(())
    }
    /// Appends bytes; returns the digest of all so far.
    async fn write(&mut self, data: Bytes) -> Result<Digest>;
    /// Drops all bytes written so far.
    async fn truncate(&mut self) -> Result<()>;
    /// Turns the ingest into a blob. Errors: `FailedPrecondition` for a wrong size or digest (the ingest stays),
    /// `AlreadyExists` (the ingest is gone).
    async fn commit(&mut self, commit: Commit) -> Result<Digest>;
}

/// Blobs on a disk: the contract of a content plugin. Synchronous; refs and digests are global.
pub trait Blobs: Send + Sync {
    /// Errors: `NotFound`.
    fn info(&self, digest: &Digest) -> Result<Info>;
    /// Every blob, in no order.
    fn list(&self) -> Result<Vec<Info>>;
    /// Errors: `NotFound`.
    fn delete(&self, digest: &Digest) -> Result<()>;
    /// Opens a blob. Errors: `NotFound`.
    fn open(&self, digest: &Digest) -> Result<Box<dyn Blob>>;
    /// Opens or resumes an ingest. Errors: `Unavailable` while another writer has the ref.
    fn ingest(&self, ingest: &Ingest) -> Result<Box<dyn Ingesting>>;
    /// Errors: `NotFound`.
    fn status(&self, reference: &str) -> Result<Status>;
    /// Errors: `NotFound`.
    fn abort(&self, reference: &str) -> Result<()>;
    /// The names under which ingests lie on the disk, whole ones and torn ones, in no order.
    fn ingests(&self) -> Result<Vec<String>>;
    /// The name under which the ingest of a ref lies.
    fn ingest_name(&self, reference: &str) -> String;
    /// Removes what lies under such a name. Errors: `NotFound`.
    fn discard(&self, name: &str) -> Result<()>;
}

/// An open blob on a disk.
pub trait Blob: Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> u64;
    /// Fills as much of `buffer` as the blob has from `offset` on; returns the number of bytes.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize>;
    /// The blob as a file, where it is one.
    fn as_file(&self) -> Option<&std::fs::File> {
        None
    }
}

/// An open ingest on a disk. Dropping it unlocks the ref and keeps the bytes.
pub trait Ingesting: Send {
    /// Where it stands.
    fn status(&self) -> Status;
    /// The digest of the bytes so far.
    fn digest(&self) -> Digest;
    /// Appends bytes.
    fn write(&mut self, data: &[u8]) -> Result<()>;
    /// Drops all bytes written so far.
    fn truncate(&mut self) -> Result<()>;
    /// Makes the bytes durable, before any lock is taken for [`Ingesting::commit`].
    fn sync(&mut self) -> Result<()>;
    /// Turns the ingest into a blob. Errors: `FailedPrecondition` for a wrong size or digest (the ingest stays),
    /// `AlreadyExists` when the blob is there already (the ingest is gone).
    fn commit(&mut self, size: i64, expected: &str) -> Result<Digest>;
}

impl Fields for Info {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["digest", ..] => Some(Cow::Borrowed(self.digest.as_str())),
            ["labels", key @ ..] => filters::label(&self.labels, key),
            _ => None,
        }
    }
}

impl Fields for Status {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["ref", ..] => Some(Cow::Borrowed(&self.reference)),
            _ => None,
        }
    }
}
