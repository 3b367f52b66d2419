//! Snapshots: the rows of one snapshotter in one namespace, with the links from parents to children.

use crate::namespaces;
use crate::records::{MetaRow, SnapshotRow, TimeRow, time_or_never};
use crate::tables::Table;
use crate::tx::{self, Rows, WriteTx};
use model::snapshots::{Info, Kind, Usage};
use model::{Error, Labels, Result, Timestamp};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// What the database knows of a snapshot, besides its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The driver's number.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// The parent's key, or empty.
    pub parent: String,
    /// When it was made or committed.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Labels.
    pub labels: Labels,
    /// What it occupied when it was committed.
    pub usage: Usage,
    /// The key a snapshotter behind an API knows it by; empty for a driver's numbers.
    pub backend: String,
}

impl Record {
    /// What clients see of it.
    pub fn info(&self, key: &str) -> Info {
        Info {
            name: key.to_owned(),
            parent: self.parent.clone(),
            kind: self.kind,
            created_at: self.created_at,
            updated_at: self.updated_at,
            labels: self.labels.clone(),
        }
    }

    fn read(row: SnapshotRow) -> Result<Self> {
        let kind = match row.kind {
            1 => Kind::View,
            2 => Kind::Active,
            3 => Kind::Committed,
            other => return Err(Error::data_loss(format!("metadata of snapshot {}: kind {other}", row.id))),
        };
        Ok(Self {
            id: row.id,
            kind,
            parent: row.parent,
            created_at: time_or_never(row.created_at),
            updated_at: time_or_never(row.updated_at),
            labels: row.labels,
            usage: Usage { size: row.size, inodes: row.inodes },
            backend: row.backend,
        })
    }

    fn row(&self) -> SnapshotRow {
        SnapshotRow {
            id: self.id,
            kind: match self.kind {
                Kind::View => 1,
                Kind::Active => 2,
                Kind::Committed => 3,
            },
            parent: self.parent.clone(),
            created_at: Some(TimeRow::new(self.created_at)),
            updated_at: Some(TimeRow::new(self.updated_at)),
            labels: self.labels.clone(),
            size: self.usage.size,
            inodes: self.usage.inodes,
            backend: self.backend.clone(),
        }
    }
}

/// The snapshots of one snapshotter in one namespace.
#[derive(Clone, Copy, Debug)]
pub struct Ledger<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The snapshotter.
    pub snapshotter: &'a str,
}

impl Ledger<'_> {
    /// A snapshot, if it is there.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn find(&self, tx: &dyn Rows, key: &str) -> Result<Option<Record>> {
        let row: Option<SnapshotRow> =
            tx::row(tx, Table::Snapshot, &[self.namespace, self.snapshotter, key])?;
        row.map(Record::read).transpose()
    }

    /// All snapshots in key order.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn list(&self, tx: &dyn Rows) -> Result<Vec<(String, Record)>> {
        let mut found = Vec::new();
        tx::each(tx, Table::Snapshot, &[self.namespace, self.snapshotter], |mut key, row| {
            found.push((key.pop().unwrap_or_default(), Record::read(row)?));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The numbers of a snapshot's parents, nearest first.
    ///
    /// # Errors
    /// `NotFound` for a parent that is not there, and those of the disk.
    pub fn parents(&self, tx: &dyn Rows, parent: &str) -> Result<Vec<u64>> {
        let mut numbers = Vec::new();
        let mut next = parent.to_owned();
        while !next.is_empty() {
            let Some(record) = self.find(tx, &next)? else {
                return Err(Error::not_found(format!("parent snapshot {next} does not exist")));
            };
            numbers.push(record.id);
            next = record.parent;
        }
        Ok(numbers)
    }

    /// Whether a snapshot is the parent of another.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn has_children(&self, tx: &dyn Rows, key: &str) -> Result<bool> {
        Ok(tx::first(tx, Table::SnapshotChild, &[self.namespace, self.snapshotter, key])?.is_some())
    }

    /// Writes a snapshot and its parent's link to it. The parent of a snapshot that is there does not change.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn put(&self, tx: &mut WriteTx<'_>, key: &str, record: &Record) -> Result<()> {
        namespaces::ensure(tx, self.namespace)?;
        tx.put(Table::Snapshot, &[self.namespace, self.snapshotter, key], &record.row());
        if !record.parent.is_empty() {
            tx.mark(Table::SnapshotChild, &[self.namespace, self.snapshotter, &record.parent, key]);
        }
        Ok(())
    }

    /// Removes a snapshot and its parent's link to it; no error if it is not there.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn delete(&self, tx: &mut WriteTx<'_>, key: &str) -> Result<()> {
        let Some(record) = self.find(tx, key)? else { return Ok(()) };
        if !record.parent.is_empty() {
            tx.delete(Table::SnapshotChild, &[self.namespace, self.snapshotter, &record.parent, key])?;
        }
        tx.delete(Table::Snapshot, &[self.namespace, self.snapshotter, key])
    }
}

/// Every snapshot of a namespace: snapshotter, key and record, in this order.
///
/// # Errors
/// Those of the disk.
pub fn list_all(tx: &dyn Rows, namespace: &str) -> Result<Vec<(String, String, Record)>> {
    let mut found = Vec::new();
    tx::each(tx, Table::Snapshot, &[namespace], |mut key, row| {
        let name = key.pop().unwrap_or_default();
        found.push((key.pop().unwrap_or_default(), name, Record::read(row)?));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The numbers that some namespace names in a snapshotter.
///
/// # Errors
/// Those of the disk.
pub fn numbers(tx: &dyn Rows, snapshotter: &str) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    for namespace in namespaces::list(tx)? {
        tx::each(tx, Table::Snapshot, &[&namespace.name, snapshotter], |_, row: SnapshotRow| {
            found.insert(row.id);
            Ok(ControlFlow::Continue(()))
        })?;
    }
    Ok(found)
}

/// The highest number that a snapshotter is known to have given out.
///
/// # Errors
/// Those of the disk.
pub fn last_number(tx: &dyn Rows, snapshotter: &str) -> Result<u64> {
    let row: Option<MetaRow> = tx::row(tx, Table::Counter, &["snapshot", snapshotter])?;
    Ok(row.map_or(0, |row| row.number))
}

/// Remembers that a number was given out.
///
/// # Errors
/// Those of the disk.
pub fn keep_number(tx: &mut WriteTx<'_>, snapshotter: &str, number: u64) -> Result<()> {
    if last_number(tx, snapshotter)? < number {
        tx.put(Table::Counter, &["snapshot", snapshotter], &MetaRow { number });
    }
    Ok(())
}
