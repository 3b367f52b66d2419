//! Images: their rows.

use crate::namespaces;
use crate::records::ImageRow;
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::Result;
use model::images::Image;
use std::ops::ControlFlow;

/// One record, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find(tx: &dyn Rows, namespace: &str, name: &str) -> Result<Option<Image>> {
    let row: Option<ImageRow> = tx::row(tx, Table::Image, &[namespace, name])?;
    Ok(row.map(|row| row.image(name.to_owned())))
}

/// All records of a namespace in name order.
///
/// # Errors
/// Those of the disk.
pub fn list(tx: &dyn Rows, namespace: &str) -> Result<Vec<Image>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Image, &[namespace], |mut key, row: ImageRow| {
        found.push(row.image(key.pop().unwrap_or_default()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes a record.
///
/// # Errors
/// Those of the disk.
pub fn put(tx: &mut WriteTx<'_>, namespace: &str, record: &Image) -> Result<()> {
    namespaces::ensure(tx, namespace)?;
    tx.put(Table::Image, &[namespace, &record.name], &ImageRow::new(record));
    Ok(())
}

/// Removes a record; no error if it is not there.
///
/// # Errors
/// Those of the disk.
pub fn delete(tx: &mut WriteTx<'_>, namespace: &str, name: &str) -> Result<()> {
    tx.delete(Table::Image, &[namespace, name])
}
