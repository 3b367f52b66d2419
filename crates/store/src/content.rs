//! Content: the rows of blobs and of ingests. The bytes lie elsewhere.

use crate::namespaces;
use crate::records::{BlobRow, IngestRow, MetaRow, TimeRow};
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::content::Info;
use model::{Error, Result, Timestamp};
use oci::Digest;
use std::collections::HashSet;
use std::ops::ControlFlow;

/// A blob of a namespace, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find(tx: &dyn Rows, namespace: &str, digest: &Digest) -> Result<Option<Info>> {
    let row: Option<BlobRow> = tx::row(tx, Table::Blob, &[namespace, digest.as_str()])?;
    Ok(row.map(|row| row.info(digest.clone())))
}

/// Whether a namespace has a blob.
///
/// # Errors
/// Those of the disk.
pub fn exists(tx: &dyn Rows, namespace: &str, digest: &Digest) -> Result<bool> {
    tx::exists(tx, Table::Blob, &[namespace, digest.as_str()])
}

/// All blobs of a namespace in digest order.
///
/// # Errors
/// Those of the disk.
pub fn list(tx: &dyn Rows, namespace: &str) -> Result<Vec<Info>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Blob, &[namespace], |key, row: BlobRow| {
        let text = key.last().map_or("", String::as_str);
        let digest =
            Digest::parse(text).map_err(|e| Error::data_loss(format!("metadata of blob {text:?}: {e}")))?;
        found.push(row.info(digest));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes a blob's record.
///
/// # Errors
/// Those of the disk.
pub fn put(tx: &mut WriteTx<'_>, namespace: &str, info: &Info) -> Result<()> {
    namespaces::ensure(tx, namespace)?;
    tx.put(Table::Blob, &[namespace, info.digest.as_str()], &BlobRow::new(info));
    Ok(())
}

/// Removes a blob's record; no error if it is not there.
///
/// # Errors
/// Those of the disk.
pub fn delete(tx: &mut WriteTx<'_>, namespace: &str, digest: &str) -> Result<()> {
    tx.delete(Table::Blob, &[namespace, digest])
}

/// What the database knows of an ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingest {
    /// The ref, as the client named it.
    pub reference: String,
    /// The ref on disk, which is global.
    pub backend: String,
    /// After this time it is garbage; `None` while a lease holds it.
    pub expires_at: Option<Timestamp>,
    /// The blob it shares instead of having bytes of its own; empty for none.
    pub expected: String,
}

impl Ingest {
    fn read(reference: String, row: IngestRow) -> Self {
        let expires_at = row.expires_at.map(TimeRow::time);
        Self { reference, backend: row.backend, expires_at, expected: row.expected }
    }
}

/// An ingest, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find_ingest(tx: &dyn Rows, namespace: &str, reference: &str) -> Result<Option<Ingest>> {
    let row: Option<IngestRow> = tx::row(tx, Table::Ingest, &[namespace, reference])?;
    Ok(row.map(|row| Ingest::read(reference.to_owned(), row)))
}

/// All ingests of a namespace in ref order.
///
/// # Errors
/// Those of the disk.
pub fn list_ingests(tx: &dyn Rows, namespace: &str) -> Result<Vec<Ingest>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Ingest, &[namespace], |mut key, row: IngestRow| {
        found.push(Ingest::read(key.pop().unwrap_or_default(), row));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes an ingest.
///
/// # Errors
/// Those of the disk.
pub fn put_ingest(tx: &mut WriteTx<'_>, namespace: &str, ingest: &Ingest) -> Result<()> {
    namespaces::ensure(tx, namespace)?;
    let row = IngestRow {
        backend: ingest.backend.clone(),
        expires_at: ingest.expires_at.map(TimeRow::new),
        expected: ingest.expected.clone(),
    };
    tx.put(Table::Ingest, &[namespace, &ingest.reference], &row);
    Ok(())
}

/// A number that no ingest was given before, for its ref on disk.
///
/// # Errors
/// Those of the disk.
pub fn next_ingest(tx: &mut WriteTx<'_>) -> Result<u64> {
    let last: Option<MetaRow> = tx::row(tx, Table::Counter, &["ingest"])?;
    let number = last.map_or(0, |row| row.number) + 1;
    tx.put(Table::Counter, &["ingest"], &MetaRow { number });
    Ok(number)
}

/// Removes an ingest; no error if it is not there.
///
/// # Errors
/// Those of the disk.
pub fn delete_ingest(tx: &mut WriteTx<'_>, namespace: &str, reference: &str) -> Result<()> {
    tx.delete(Table::Ingest, &[namespace, reference])
}

/// What the rows of all namespaces say must stay on disk.
#[derive(Debug, Default)]
pub struct Named {
    /// The digests of blobs, those that ingests share included.
    pub digests: HashSet<String>,
    /// The refs of ingests on disk.
    pub ingests: HashSet<String>,
}

/// Everything on disk that some namespace names.
///
/// # Errors
/// Those of the disk.
pub fn named(tx: &dyn Rows) -> Result<Named> {
    let mut named = Named::default();
    named.digests.extend(tx::keys(tx, Table::Blob, &[])?.into_iter().filter_map(|mut key| key.pop()));
    tx::each(tx, Table::Ingest, &[], |_, row: IngestRow| {
        named.ingests.insert(row.backend);
        if !row.expected.is_empty() {
            named.digests.insert(row.expected);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(named)
}

/// Whether any namespace names a blob.
///
/// # Errors
/// Those of the disk.
pub fn is_named(tx: &dyn Rows, digest: &str) -> Result<bool> {
    for namespace in namespaces::list(tx)? {
        if tx::exists(tx, Table::Blob, &[&namespace.name, digest])? {
            return Ok(true);
        }
    }
    let mut shared = false;
    tx::each(tx, Table::Ingest, &[], |_, row: IngestRow| {
        shared = row.expected == digest;
        Ok(if shared { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(shared)
}

/// Whether a namespace that lets others share its blobs has this one.
///
/// # Errors
/// Those of the disk.
pub fn is_shareable(tx: &dyn Rows, digest: &Digest) -> Result<bool> {
    const SHAREABLE: &str = "containerd.io/namespace.shareable";
    for namespace in namespaces::list(tx)? {
        let open = namespace.labels.get(SHAREABLE).is_some_and(|v| v == "true");
        if open && exists(tx, &namespace.name, digest)? {
            return Ok(true);
        }
    }
    Ok(false)
}
