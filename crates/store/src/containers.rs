//! Containers: their rows.

use crate::namespaces;
use crate::records::ContainerRow;
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::Result;
use model::containers::Container;
use std::ops::ControlFlow;

/// One record, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find(tx: &dyn Rows, namespace: &str, id: &str) -> Result<Option<Container>> {
    let row: Option<ContainerRow> = tx::row(tx, Table::Container, &[namespace, id])?;
    Ok(row.map(|row| row.container(id.to_owned())))
}

/// Whether a record is there.
///
/// # Errors
/// Those of the disk.
pub fn exists(tx: &dyn Rows, namespace: &str, id: &str) -> Result<bool> {
    tx::exists(tx, Table::Container, &[namespace, id])
}

/// All records of a namespace in id order.
///
/// # Errors
/// Those of the disk.
pub fn list(tx: &dyn Rows, namespace: &str) -> Result<Vec<Container>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Container, &[namespace], |mut key, row: ContainerRow| {
        found.push(row.container(key.pop().unwrap_or_default()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes a record.
///
/// # Errors
/// Those of the disk.
pub fn put(tx: &mut WriteTx<'_>, namespace: &str, record: &Container) -> Result<()> {
    namespaces::ensure(tx, namespace)?;
    tx.put(Table::Container, &[namespace, &record.id], &ContainerRow::new(record));
    Ok(())
}

/// Removes a record; no error if it is not there.
///
/// # Errors
/// Those of the disk.
pub fn delete(tx: &mut WriteTx<'_>, namespace: &str, id: &str) -> Result<()> {
    tx.delete(Table::Container, &[namespace, id])
}
