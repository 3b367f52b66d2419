//! Namespaces: the rows at the top of every name.

use crate::records::NamespaceRow;
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::Result;
use model::namespaces::NamespaceInfo;
use std::ops::ControlFlow;

/// A namespace, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find(tx: &dyn Rows, name: &str) -> Result<Option<NamespaceInfo>> {
    let row: Option<NamespaceRow> = tx::row(tx, Table::Namespace, &[name])?;
    Ok(row.map(|row| NamespaceInfo { name: name.to_owned(), labels: row.labels }))
}

/// All namespaces in name order.
///
/// # Errors
/// Those of the disk.
pub fn list(tx: &dyn Rows) -> Result<Vec<NamespaceInfo>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Namespace, &[], |mut key, row: NamespaceRow| {
        found.push(NamespaceInfo { name: key.pop().unwrap_or_default(), labels: row.labels });
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes a namespace.
pub fn put(tx: &mut WriteTx<'_>, namespace: &NamespaceInfo) {
    tx.put(Table::Namespace, &[&namespace.name], &NamespaceRow { labels: namespace.labels.clone() });
}

/// Makes a namespace without labels if it is not there: it comes with its first object.
///
/// # Errors
/// Those of the disk.
pub fn ensure(tx: &mut WriteTx<'_>, name: &str) -> Result<()> {
    if !tx::exists(tx, Table::Namespace, &[name])? {
        tx.put(Table::Namespace, &[name], &NamespaceRow::default());
    }
    Ok(())
}

/// What forbids a namespace's removal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// It has images.
    pub images: bool,
    /// It has blobs.
    pub blobs: bool,
    /// It has containers.
    pub containers: bool,
    /// The snapshotters in which it has snapshots, in name order.
    pub snapshotters: Vec<String>,
}

/// What a namespace still has of what forbids its removal.
///
/// # Errors
/// Those of the disk.
pub fn contents(tx: &dyn Rows, name: &str) -> Result<Contents> {
    let mut snapshotters: Vec<String> = tx::keys(tx, Table::Snapshot, &[name])?
        .into_iter()
        .filter_map(|mut key| (key.len() > 1).then(|| key.swap_remove(1)))
        .collect();
    snapshotters.dedup();
    Ok(Contents {
        images: tx::first(tx, Table::Image, &[name])?.is_some(),
        blobs: tx::first(tx, Table::Blob, &[name])?.is_some(),
        containers: tx::first(tx, Table::Container, &[name])?.is_some(),
        snapshotters,
    })
}

/// Removes a namespace and every row in it.
///
/// # Errors
/// Those of the disk.
pub fn delete(tx: &mut WriteTx<'_>, name: &str) -> Result<()> {
    const INSIDE: [Table; 9] = [
        Table::Container,
        Table::Image,
        Table::Blob,
        Table::Ingest,
        Table::Snapshot,
        Table::SnapshotChild,
        Table::Lease,
        Table::LeaseResource,
        Table::Sandbox,
    ];
    for table in INSIDE {
        tx.delete_all(table, &[name])?;
    }
    tx.delete(Table::Namespace, &[name])
}
