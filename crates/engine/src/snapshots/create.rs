//! Making snapshots: checks, a directory, then the row.

use super::backend::Turn;
use super::{Snapshotter, backend_key, missing_parent};
use crate::gc::Gone;
use crate::{clock, leased, masks};
use model::events::Event;
use model::snapshots::{Kind, Layer, Prepare, Usage};
use model::{Error, Labels, Mount, Result, Scope, labels};
use store::snapshots::Record;
use store::{Rows, WriteTx};

/// What stands in the way of a new snapshot.
enum Place {
    /// Nothing; these are the numbers of its parents.
    Free(Vec<u64>),
    /// A snapshot with this key: it joins the lease, and the answer is an error.
    Taken(String, Error),
}

impl Snapshotter {
    /// Makes an active snapshot or a view.
    pub(super) async fn create(&self, scope: Scope, prepare: Prepare, kind: Kind) -> Result<Vec<Mount>> {
        labels::validate("info.Labels", &prepare.labels)?;
        let parents = match self.database.read(|tx| self.place(tx, &scope, &prepare))? {
            Place::Free(parents) => parents,
            Place::Taken(key, error) => return Err(self.lease_existing(scope, key, error).await),
        };
        self.database.read(|tx| leased::check(tx, &scope))?;
        let (id, turn) = self.backend.reserve().await?;
        let layer = Layer { id, kind, parents, labels: inherited(&prepare.labels) };
        let result = self.create_claimed(scope, prepare, (layer, &turn)).await;
        drop(turn);
        if result.is_err() {
            // If something broke off half-way, the collector finds the rest.
            self.pressure.removed(Gone::Snapshot(self.name.to_string()));
        }
        result
    }

    async fn create_claimed(
        &self,
        scope: Scope,
        prepare: Prepare,
        (layer, turn): (Layer, &Turn),
    ) -> Result<Vec<Mount>> {
        let (id, kind) = (layer.id, layer.kind);
        // The driver promises that nothing is left of a failure.
        let made = self.backend.change(("make", turn), layer, |driver, layer| {
            driver.create(layer)?;
            Ok(driver.mounts(layer))
        });
        let named = match made.await? {
            Ok(mounts) => self.name_created(scope, prepare, (id, kind)).await.map(|()| mounts),
            Err(error) => Err(error),
        };
        match named {
            Ok(mounts) => Ok(mounts),
            Err(error) => Err(self.backend.discard((id, turn), error).await),
        }
    }

    /// The one write that makes a directory a snapshot.
    async fn name_created(&self, scope: Scope, prepare: Prepare, (id, kind): (u64, Kind)) -> Result<()> {
        let this = self.clone();
        let write = self.database.write(move |tx| {
            match this.place(tx, &scope, &prepare)? {
                Place::Free(_) => {}
                Place::Taken(key, error) => {
                    leased::add(tx, &scope, &leased::snapshot(&this.name, &key))?;
                    return Ok(Err(error));
                }
            }
            leased::add(tx, &scope, &leased::snapshot(&this.name, &prepare.key))?;
            let now = clock::now();
            let record = Record {
                id,
                kind,
                parent: prepare.parent.clone(),
                created_at: now,
                updated_at: now,
                labels: masks::storable(&prepare.labels)?,
                usage: Usage::default(),
                backend: String::new(),
            };
            this.ledger(&scope).put(tx, &prepare.key, &record)?;
            store::snapshots::keep_number(tx, &this.name, id)?;
            if kind == Kind::Active {
                let Prepare { key, parent, .. } = prepare;
                let snapshotter = this.name.to_string();
                tx.emit(&scope.namespace, Event::SnapshotPrepare { key, parent, snapshotter });
            }
            Ok(Ok(()))
        });
        write.await?
    }

    /// Whether a new snapshot has a place: neither its target nor its key is there, and its parent is.
    fn place(&self, tx: &dyn Rows, scope: &Scope, prepare: &Prepare) -> Result<Place> {
        let ledger = self.ledger(scope);
        let target = prepare.labels.get(labels::SNAPSHOT_REF).filter(|t| !t.is_empty());
        if let Some(target) = target
            && ledger.find(tx, target)?.is_some()
        {
            return Ok(Place::Taken(
                target.clone(),
                Error::already_exists(format!("target snapshot {target:?}")),
            ));
        }
        if ledger.find(tx, &prepare.key)?.is_some() {
            return Ok(taken(&prepare.key));
        }
        let mut parents = Vec::new();
        if !prepare.parent.is_empty() {
            let parent = ledger.find(tx, &prepare.parent)?.ok_or_else(|| missing_parent(&prepare.parent))?;
            if parent.kind != Kind::Committed {
                let key = backend_key(scope, parent.id, &prepare.parent);
                let text = format!("failed to create snapshot: parent {key:?} is not committed snapshot");
                return Err(Error::invalid(text));
            }
            parents = ledger.parents(tx, &prepare.parent)?;
        }
        if prepare.key.is_empty() {
            return Err(Error::unknown("bucket name required"));
        }
        Ok(Place::Free(parents))
    }

    /// The lease of a request holds what the request found to be there already; the answer is still the error.
    pub(super) async fn lease_existing(&self, scope: Scope, key: String, error: Error) -> Error {
        if scope.lease.is_none() {
            return error;
        }
        let this = self.clone();
        let lease = move |tx: &mut WriteTx<'_>| leased::add(tx, &scope, &leased::snapshot(&this.name, &key));
        self.database.write(lease).await.err().unwrap_or(error)
    }

    /// A snapshot and what its driver must know of it.
    pub(super) fn with_layer(&self, tx: &dyn Rows, scope: &Scope, key: &str) -> Result<(Record, Layer)> {
        let record = self.get(tx, scope, key)?;
        let parents = self.ledger(scope).parents(tx, &record.parent)?;
        let layer = Layer { id: record.id, kind: record.kind, parents, labels: inherited(&record.labels) };
        Ok((record, layer))
    }
}

pub(super) fn already_there(key: &str) -> Error {
    Error::already_exists(format!("snapshot {key:?}"))
}

fn taken(key: &str) -> Place {
    Place::Taken(key.to_owned(), already_there(key))
}

/// The labels that concern a driver.
pub(super) fn inherited(labels: &Labels) -> Labels {
    let concerns = |key: &str| key.starts_with(labels::SNAPSHOT) || key == labels::SNAPSHOT_REF;
    labels.iter().filter(|(key, _)| concerns(key)).map(|(k, v)| (k.clone(), v.clone())).collect()
}
