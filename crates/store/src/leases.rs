//! Leases: their rows, and what they hold.

use crate::namespaces;
use crate::records::LeaseRow;
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::Result;
use model::leases::{Lease, Resource};
use std::ops::ControlFlow;

/// One lease, if it is there.
///
/// # Errors
/// Those of the disk.
pub fn find(tx: &dyn Rows, namespace: &str, id: &str) -> Result<Option<Lease>> {
    let row: Option<LeaseRow> = tx::row(tx, Table::Lease, &[namespace, id])?;
    Ok(row.map(|row| row.lease(id.to_owned())))
}

/// Whether a lease is there.
///
/// # Errors
/// Those of the disk.
pub fn exists(tx: &dyn Rows, namespace: &str, id: &str) -> Result<bool> {
    tx::exists(tx, Table::Lease, &[namespace, id])
}

/// All leases of a namespace in id order.
///
/// # Errors
/// Those of the disk.
pub fn list(tx: &dyn Rows, namespace: &str) -> Result<Vec<Lease>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Lease, &[namespace], |mut key, row: LeaseRow| {
        found.push(row.lease(key.pop().unwrap_or_default()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// Writes a lease.
///
/// # Errors
/// Those of the disk.
pub fn put(tx: &mut WriteTx<'_>, namespace: &str, lease: &Lease) -> Result<()> {
    namespaces::ensure(tx, namespace)?;
    tx.put(Table::Lease, &[namespace, &lease.id], &LeaseRow::new(lease));
    Ok(())
}

/// Removes a lease with the list of what it holds; no error if it is not there.
///
/// # Errors
/// Those of the disk.
pub fn delete(tx: &mut WriteTx<'_>, namespace: &str, id: &str) -> Result<()> {
    tx.delete_all(Table::LeaseResource, &[namespace, id])?;
    tx.delete(Table::Lease, &[namespace, id])
}

/// What a lease holds, by type, then id.
///
/// # Errors
/// Those of the disk.
pub fn resources(tx: &dyn Rows, namespace: &str, id: &str) -> Result<Vec<Resource>> {
    let keys = tx::keys(tx, Table::LeaseResource, &[namespace, id])?;
    let resource = |mut key: Vec<String>| {
        let id = key.pop().unwrap_or_default();
        Resource { kind: key.pop().unwrap_or_default(), id }
    };
    Ok(keys.into_iter().map(resource).collect())
}

/// Lets a lease hold a resource; holding it twice is holding it once.
pub fn add_resource(tx: &mut WriteTx<'_>, namespace: &str, id: &str, resource: &Resource) {
    tx.mark(Table::LeaseResource, &[namespace, id, &resource.kind, &resource.id]);
}

/// Lets a lease go of a resource; no error if it does not hold it.
///
/// # Errors
/// Those of the disk.
pub fn delete_resource(tx: &mut WriteTx<'_>, namespace: &str, id: &str, resource: &Resource) -> Result<()> {
    tx.delete(Table::LeaseResource, &[namespace, id, &resource.kind, &resource.id])
}
