//! The schema's version, and the steps from older ones.
//!
//! Records are protocol buffer messages: a new field needs no step. A step is for rows that move or change meaning.

use crate::file::Store;
use crate::records::MetaRow;
use crate::tables::Table;
use crate::tx::{self, WriteTx};
use model::{Error, Result};

/// One step: from the version that is its place in the list, counted from 1, to the next.
type Step = fn(&mut WriteTx<'_>) -> Result<()>;

/// Every step there has been.
const STEPS: &[Step] = &[];

/// The version this build writes.
const VERSION: u64 = 1 + STEPS.len() as u64;

const SCHEMA: &[&str] = &["schema"];

/// Brings the database to this build's version, in one transaction.
///
/// # Errors
/// `FailedPrecondition` when a newer build wrote it.
pub(crate) fn run(store: &Store) -> Result<()> {
    let found = store.read(|tx| tx::row::<MetaRow>(tx, Table::Meta, SCHEMA))?;
    let file = store.path().display();
    match found.map(|row| row.number) {
        Some(version) if version == VERSION => Ok(()),
        Some(version) if version > VERSION => Err(Error::failed_precondition(format!(
            "metadata database {file} has schema {version}, this version reads up to {VERSION}; use the newer version that wrote it"
        ))),
        found => store.write_sync(move |tx| {
            for step in STEPS.iter().skip(found.map_or(STEPS.len(), |v| v.saturating_sub(1) as usize)) {
                step(tx)?;
            }
            tx.put(Table::Meta, SCHEMA, &MetaRow { number: VERSION });
            Ok(())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused() {
        let directory = tempfile::tempdir().expect("temp dir");
        let path = directory.path().join("meta.redb");
        let store = Store::open(&path).expect("fresh");
        let newer = |tx: &mut WriteTx<'_>| {
            tx.put(Table::Meta, SCHEMA, &MetaRow { number: VERSION + 1 });
            Ok(())
        };
        store.write_sync(newer).expect("write");
        drop(store);
        let error = Store::open(&path).err().expect("too new");
        assert_eq!(error.kind(), model::Kind::FailedPrecondition);
        assert!(error.text().contains("meta.redb has schema 2, this version reads up to 1"), "{error}");
    }
}
