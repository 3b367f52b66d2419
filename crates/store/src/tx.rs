//! Transactions: reading a snapshot, writing over one.

use crate::Happened;
use crate::keys::Key;
use crate::tables::Table;
use model::events::Event;
use model::{Error, Result};
use prost::Message;
use redb::ReadOnlyTable;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

/// The tree of all rows.
pub(crate) type Tree = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// What a group of writes changes: a value, or `None` for a row that goes.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Visits a row: its key and its value.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>> + 'a;

mod sealed {
    use super::{Key, Result, Visit};

    /// The things every transaction can do.
    pub trait Raw {
        fn bytes(&self, key: &Key) -> Result<Option<Vec<u8>>>;
        fn has(&self, key: &Key) -> Result<bool>;
        fn visit(&self, prefix: &Key, visit: &mut Visit<'_>) -> Result<()>;
    }
}
pub(crate) use sealed::Raw;

/// Something rows can be read from: a [`ReadTx`] or a [`WriteTx`]. The functions of the noun modules take it.
pub trait Rows: Raw {}
impl<T: Raw> Rows for T {}

/// Reads a row.
pub(crate) fn row<R: Message + Default>(tx: &dyn Rows, table: Table, key: &[&str]) -> Result<Option<R>> {
    let key = Key::new(table, key);
    tx.bytes(&key)?.map(|bytes| decode(key.as_bytes(), &bytes)).transpose()
}

/// Whether a row is there.
pub(crate) fn exists(tx: &dyn Rows, table: Table, key: &[&str]) -> Result<bool> {
    tx.has(&Key::new(table, key))
}

/// Visits the rows below a prefix in key order; the closure gets the key's components.
pub(crate) fn each<R: Message + Default>(
    tx: &dyn Rows,
    table: Table,
    prefix: &[&str],
    mut visit: impl FnMut(Vec<String>, R) -> Result<ControlFlow<()>>,
) -> Result<()> {
    tx.visit(&Key::new(table, prefix), &mut |key, value| visit(components(key)?, decode(key, value)?))
}

/// The keys below a prefix in order, as components.
pub(crate) fn keys(tx: &dyn Rows, table: Table, prefix: &[&str]) -> Result<Vec<Vec<String>>> {
    let mut found = Vec::new();
    tx.visit(&Key::new(table, prefix), &mut |key, _| {
        found.push(components(key)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

/// The first key below a prefix.
pub(crate) fn first(tx: &dyn Rows, table: Table, prefix: &[&str]) -> Result<Option<Vec<String>>> {
    let mut found = None;
    tx.visit(&Key::new(table, prefix), &mut |key, _| {
        found = Some(components(key)?);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

fn decode<R: Message + Default>(key: &[u8], value: &[u8]) -> Result<R> {
    R::decode(value)
        .map_err(|e| Error::data_loss(format!("metadata row {:?}: {e}", String::from_utf8_lossy(key))))
}

fn components(key: &[u8]) -> Result<Vec<String>> {
    crate::keys::split(key).ok_or_else(|| {
        Error::data_loss(format!("metadata key {:?} is malformed", String::from_utf8_lossy(key)))
    })
}

/// A snapshot of the last commit.
pub struct ReadTx {
    tree: Tree,
}

impl ReadTx {
    pub(crate) fn new(tree: Tree) -> Self {
        Self { tree }
    }
}

impl Raw for ReadTx {
    fn bytes(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let found = self.tree.get(key.as_bytes()).map_err(unreadable)?;
        Ok(found.map(|guard| guard.value().to_vec()))
    }

    fn has(&self, key: &Key) -> Result<bool> {
        Ok(self.tree.get(key.as_bytes()).map_err(unreadable)?.is_some())
    }

    fn visit(&self, prefix: &Key, visit: &mut Visit<'_>) -> Result<()> {
        let end = prefix.end();
        for entry in self.tree.range(prefix.as_bytes()..end.as_slice()).map_err(unreadable)? {
            let (key, value) = entry.map_err(unreadable)?;
            if visit(key.value(), value.value())?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn unreadable(error: redb::StorageError) -> Error {
    Error::unknown(format!("read metadata: {error}")).with_source(error)
}

/// What a key had in the changes: nothing, or a change.
type Before = Option<Option<Vec<u8>>>;

/// A write in progress: it sees the last commit, what earlier writes of its group changed, and its own changes.
pub struct WriteTx<'a> {
    tree: &'a Tree,
    changes: &'a mut Changes,
    /// What each key changed by this write had before in `changes`, oldest first.
    undo: Vec<(Vec<u8>, Before)>,
    events: Vec<Happened>,
}

impl<'a> WriteTx<'a> {
    pub(crate) fn new(tree: &'a Tree, changes: &'a mut Changes) -> Self {
        Self { tree, changes, undo: Vec::new(), events: Vec::new() }
    }

    /// Reports what this write makes true. It is told to the world after the commit, in commit order, or never.
    pub fn emit(&mut self, namespace: &str, event: Event) {
        self.events.push((namespace.to_owned(), event));
    }

    /// Writes a row.
    pub(crate) fn put(&mut self, table: Table, key: &[&str], row: &impl Message) {
        self.change(Key::new(table, key), Some(row.encode_to_vec()));
    }

    /// Writes a row that says everything by being there.
    pub(crate) fn mark(&mut self, table: Table, key: &[&str]) {
        self.change(Key::new(table, key), Some(Vec::new()));
    }

    /// Removes a row; no error if it is not there.
    pub(crate) fn delete(&mut self, table: Table, key: &[&str]) -> Result<()> {
        let key = Key::new(table, key);
        if self.has(&key)? {
            self.change(key, None);
        }
        Ok(())
    }

    /// Removes every row below a prefix.
    pub(crate) fn delete_all(&mut self, table: Table, prefix: &[&str]) -> Result<()> {
        for key in keys(self, table, prefix)? {
            self.change(Key::new(table, &key.iter().map(String::as_str).collect::<Vec<_>>()), None);
        }
        Ok(())
    }

    fn change(&mut self, key: Key, value: Option<Vec<u8>>) {
        let key = key.as_bytes().to_vec();
        let before = self.changes.insert(key.clone(), value);
        self.undo.push((key, before));
    }

    /// Keeps the changes and hands out the events.
    pub(crate) fn keep(self) -> Vec<Happened> {
        self.events
    }

    /// Takes every change back, as if the write had not been.
    pub(crate) fn take_back(self) {
        for (key, before) in self.undo.into_iter().rev() {
            match before {
                Some(value) => self.changes.insert(key, value),
                None => self.changes.remove(&key),
            };
        }
    }
}

impl Raw for WriteTx<'_> {
    fn bytes(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        match self.changes.get(key.as_bytes()) {
            Some(changed) => Ok(changed.clone()),
            None => {
                Ok(self.tree.get(key.as_bytes()).map_err(unreadable)?.map(|guard| guard.value().to_vec()))
            }
        }
    }

    fn has(&self, key: &Key) -> Result<bool> {
        match self.changes.get(key.as_bytes()) {
            Some(changed) => Ok(changed.is_some()),
            None => Ok(self.tree.get(key.as_bytes()).map_err(unreadable)?.is_some()),
        }
    }

    fn visit(&self, prefix: &Key, visit: &mut Visit<'_>) -> Result<()> {
        let end = prefix.end();
        let bounds = (Bound::Included(prefix.as_bytes()), Bound::Excluded(end.as_slice()));
        let mut changed = self.changes.range::<[u8], _>(bounds).peekable();
        for entry in self.tree.range(prefix.as_bytes()..end.as_slice()).map_err(unreadable)? {
            let (key, value) = entry.map_err(unreadable)?;
            while let Some((new, row)) = changed.next_if(|(new, _)| new.as_slice() < key.value()) {
                if visit_changed(new, row, visit)?.is_break() {
                    return Ok(());
                }
            }
            let flow = match changed.next_if(|(same, _)| same.as_slice() == key.value()) {
                Some((same, row)) => visit_changed(same, row, visit)?,
                None => visit(key.value(), value.value())?,
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        for (new, row) in changed {
            if visit_changed(new, row, visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

fn visit_changed(key: &[u8], row: &Option<Vec<u8>>, visit: &mut Visit<'_>) -> Result<ControlFlow<()>> {
    match row {
        Some(value) => visit(key, value),
        None => Ok(ControlFlow::Continue(())),
    }
}
