//! Committing and removing snapshots.

use super::create::{already_there, inherited};
use super::{Snapshotter, backend_key, missing, missing_parent};
use crate::gc::Gone;
use crate::{clock, leased, masks};
use model::events::Event;
use model::snapshots::{Commit, Kind, Layer, Usage};
use model::{Error, Result, Scope, labels};
use store::Rows;
use store::snapshots::Record;

/// What a commit finds.
enum Found {
    /// The active snapshot, with the parent it will have.
    Active(Record, Layer),
    /// The name is taken: it joins the lease, and the answer is an error.
    Taken(Error),
}

impl Snapshotter {
    /// Makes an active snapshot a committed one under a name. What it occupies is measured before the write.
    pub(super) async fn commit_active(&self, scope: Scope, commit: Commit) -> Result<()> {
        labels::validate("info.Labels", &commit.labels)?;
        let id = match self.database.read(|tx| self.committable(tx, &scope, &commit))? {
            Found::Active(record, _) => record.id,
            Found::Taken(error) => return Err(self.lease_existing(scope, commit.name, error).await),
        };
        self.database.read(|tx| leased::check(tx, &scope))?;
        let turn = self.backend.claim(id).await?;
        // Whoever had the turn before may have committed it.
        let layer = match self.database.read(|tx| self.committable(tx, &scope, &commit))? {
            Found::Active(record, layer) if record.id == id => layer,
            Found::Active(..) => return Err(Error::aborted(format!("snapshot {} was replaced", commit.key))),
            Found::Taken(error) => return Err(self.lease_existing(scope, commit.name, error).await),
        };
        let usage =
            self.backend.change(("commit", &turn), layer, |driver, layer| driver.commit(layer)).await?;
        let result = self.name_committed(scope, commit, (id, usage)).await;
        drop(turn);
        result
    }

    /// The one write that gives an active snapshot its name.
    async fn name_committed(&self, scope: Scope, commit: Commit, (id, usage): (u64, Usage)) -> Result<()> {
        let this = self.clone();
        let write = self.database.write(move |tx| {
            let resource = |key: &str| leased::snapshot(&this.name, key);
            let active = match this.committable(tx, &scope, &commit)? {
                Found::Active(record, _) if record.id == id => record,
                Found::Active(..) => {
                    return Err(Error::aborted(format!("snapshot {} was replaced", commit.key)));
                }
                Found::Taken(error) => {
                    leased::add(tx, &scope, &resource(&commit.name))?;
                    return Ok(Err(error));
                }
            };
            leased::add(tx, &scope, &resource(&commit.name))?;
            leased::remove(tx, &scope, &resource(&commit.key))?;
            let now = clock::now();
            let record = Record {
                kind: Kind::Committed,
                created_at: now,
                updated_at: now,
                labels: masks::storable(&commit.labels)?,
                usage,
                ..active
            };
            this.ledger(&scope).delete(tx, &commit.key)?;
            this.ledger(&scope).put(tx, &commit.name, &record)?;
            let Commit { key, name, .. } = commit;
            let snapshotter = this.name.to_string();
            tx.emit(&scope.namespace, Event::SnapshotCommit { key, name, snapshotter });
            Ok(Ok(()))
        });
        write.await?
    }

    fn committable(&self, tx: &dyn Rows, scope: &Scope, commit: &Commit) -> Result<Found> {
        let ledger = self.ledger(scope);
        if ledger.find(tx, &commit.name)?.is_some() {
            return Ok(Found::Taken(already_there(&commit.name)));
        }
        if commit.name.is_empty() {
            return Err(Error::unknown("bucket name required"));
        }
        let mut record = ledger.find(tx, &commit.key)?.ok_or_else(|| missing(&commit.key))?;
        let key = backend_key(scope, record.id, &commit.key);
        if record.parent.is_empty() && !commit.parent.is_empty() {
            self.check_rebase(tx, scope, &commit.parent).map_err(|e| match e.is_not_found() {
                true => e,
                false => e.during(format!("failed to commit snapshot {key}")),
            })?;
            record.parent.clone_from(&commit.parent);
        }
        if record.kind != Kind::Active {
            let text = format!("failed to commit snapshot {key}: snapshot {key:?} is not active");
            return Err(Error::failed_precondition(text));
        }
        let parents = ledger.parents(tx, &record.parent)?;
        let layer = Layer { id: record.id, kind: record.kind, parents, labels: inherited(&commit.labels) };
        Ok(Found::Active(record, layer))
    }

    /// Whether a snapshot may become the parent of an active one that has none.
    fn check_rebase(&self, tx: &dyn Rows, scope: &Scope, parent: &str) -> Result<()> {
        let record = self.ledger(scope).find(tx, parent)?.ok_or_else(|| missing_parent(parent))?;
        if record.kind != Kind::Committed {
            let key = backend_key(scope, record.id, parent);
            return Err(Error::failed_precondition(format!("parent {key:?} is not committed snapshot")));
        }
        if !self.backend.can_rebase() {
            return Err(Error::not_implemented(format!(
                "snapshotter {} cannot set a parent at commit",
                self.name
            )));
        }
        Ok(())
    }

    /// Removes a snapshot's row; the collector removes its directory.
    pub(super) async fn remove_row(&self, scope: &Scope, key: &str) -> Result<()> {
        let (this, scope, key) = (self.clone(), scope.clone(), key.to_owned());
        let write = self.database.remove(Gone::Snapshot(self.name.to_string()), move |tx| {
            let ledger = this.ledger(&scope);
            this.get(tx, &scope, &key)?;
            if ledger.has_children(tx, &key)? {
                return Err(Error::failed_precondition("cannot remove snapshot with child"));
            }
            ledger.delete(tx, &key)?;
            leased::remove(tx, &scope, &leased::snapshot(&this.name, &key))?;
            let snapshotter = this.name.to_string();
            tx.emit(&scope.namespace, Event::SnapshotRemove { key, snapshotter });
            Ok(())
        });
        write.await
    }
}
