//! Sandboxes: their rows.

use crate::namespaces;
use crate::records::SandboxRow;
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::Result;
use model::sandboxes::Sandbox;
use std::ops::ControlFlow;

/// One record, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find(tx: &dyn Rows, namespace: &str, id: &str) -> Result<Option<Sandbox>> {
    let row: Option<SandboxRow> = tx::row(tx, Table::Sandbox, &[namespace, id])?;
    Ok(row.map(|row| row.sandbox(id.to_owned())))
}

/// All records of a namespace in id order.
///
/// # Errors
/// Those of the disk.
pub fn list(tx: &dyn Rows, namespace: &str) -> Result<Vec<Sandbox>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Sandbox, &[namespace], |mut key, row: SandboxRow| {
        found.push(row.sandbox(key.pop().unwrap_or_default()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes a record.
///
/// # Errors
/// Those of the disk.
pub fn put(tx: &mut WriteTx<'_>, namespace: &str, record: &Sandbox) -> Result<()> {
    namespaces::ensure(tx, namespace)?;
    tx.put(Table::Sandbox, &[namespace, &record.id], &SandboxRow::new(record));
    Ok(())
}

/// Removes a record; no error if it is not there.
///
/// # Errors
/// Those of the disk.
pub fn delete(tx: &mut WriteTx<'_>, namespace: &str, id: &str) -> Result<()> {
    tx.delete(Table::Sandbox, &[namespace, id])
}
