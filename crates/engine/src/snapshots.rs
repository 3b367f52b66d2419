//! Snapshots: the one ledger between the keys clients use and the numbered directories a driver makes.
//!
//! ```text
//!             prepare            commit
//!   (nothing) ───────▶ Active ─────────────▶ Committed ──▶ parent of others
//!      │                  │                      │
//!      └──view──▶ View    │                      │
//!                   └─────┴───────remove─────────┴──▶ (row gone) ──collector──▶ (directory gone)
//! ```
//!
//! To make: the directory first, then the one write that names it. To remove: the row first, the directory when the
//! collector next looks. A number is claimed while its directory is being made or changed, so that the collector never
//! takes a directory whose row is on its way.
//!
//! Not here: mounting, and snapshotters behind an API.

mod backend;
mod change;
mod create;

use crate::database::Database;
use crate::disk::{Gate, to_end};
use crate::gc::{Cleaned, Pressure};
use crate::masks;
use async_trait::async_trait;
use backend::Backend;
use model::filters::Filters;
use model::snapshots::{Commit, Info, Kind, Prepare, Usage};
use model::{Error, Mask, Mount, Result, Scope, labels};
use std::sync::Arc;
use store::Rows;
use store::snapshots::{Ledger, Record};

/// A snapshotter made of a driver and the store.
#[derive(Clone)]
pub(crate) struct Snapshotter {
    name: Arc<str>,
    backend: Arc<Backend>,
    database: Arc<Database>,
    pressure: Arc<Pressure>,
}

impl Snapshotter {
    /// A snapshotter over a driver, which has been probed; reads the numbers that are taken.
    ///
    /// # Errors
    /// Those of the driver and of the store.
    pub(crate) fn open(name: &str, parts: Parts) -> Result<Self> {
        let taken = parts.database.read(|tx| {
            let named = store::snapshots::numbers(tx, name)?.into_iter().max().unwrap_or(0);
            Ok(named.max(store::snapshots::last_number(tx, name)?))
        })?;
        let Parts { driver, database, pressure, gate } = parts;
        let backend = Arc::new(Backend::open(driver, gate, taken)?);
        Ok(Self { name: name.into(), backend, database, pressure })
    }

    fn ledger<'a>(&'a self, scope: &'a Scope) -> Ledger<'a> {
        Ledger { namespace: &scope.namespace, snapshotter: &self.name }
    }

    /// A snapshot as clients see it: its own labels hide those of the driver.
    fn shown(&self, record: &Record, key: &str) -> Info {
        let mut info = record.info(key);
        for (name, value) in self.backend.labels(record.id) {
            info.labels.entry(name).or_insert(value);
        }
        info
    }

    fn get(&self, tx: &dyn Rows, scope: &Scope, key: &str) -> Result<Record> {
        self.ledger(scope).find(tx, key)?.ok_or_else(|| missing(key))
    }

    /// Removes the directories that no row names; returns how many.
    ///
    /// # Errors
    /// Those of the driver and of the store.
    pub(crate) async fn sweep_backend(&self) -> Result<Cleaned> {
        let (name, database) = (self.name.clone(), self.database.clone());
        self.backend.sweep(move || database.read(|tx| store::snapshots::numbers(tx, &name))).await
    }
}

/// What a [`Snapshotter`] is made from.
pub(crate) struct Parts {
    pub(crate) driver: Arc<dyn model::snapshots::Driver>,
    pub(crate) database: Arc<Database>,
    pub(crate) pressure: Arc<Pressure>,
    pub(crate) gate: Arc<Gate>,
}

/// The key a snapshot would have in a snapshotter of containerd, as error texts show it.
fn backend_key(scope: &Scope, id: u64, key: &str) -> String {
    format!("{}/{id}/{key}", scope.namespace)
}

fn missing(key: &str) -> Error {
    Error::not_found(format!("snapshot {key} does not exist"))
}

fn missing_parent(key: &str) -> Error {
    Error::not_found(format!("parent snapshot {key} does not exist"))
}

#[async_trait]
impl model::snapshots::Snapshotter for Snapshotter {
    async fn stat(&self, scope: &Scope, key: &str) -> Result<Info> {
        self.database.read(|tx| Ok(self.shown(&self.get(tx, scope, key)?, key)))
    }

    async fn update(&self, scope: &Scope, info: Info, mask: Mask) -> Result<Info> {
        if info.name.is_empty() {
            return Err(Error::new(model::Kind::InvalidArgument, model::Kind::InvalidArgument.text()));
        }
        let (this, scope) = (self.clone(), scope.clone());
        let write = self.database.write(move |tx| {
            let mut record = this.get(tx, &scope, &info.name)?;
            let what = format!("snapshot {:?}", info.name);
            let updated = masks::update_labels(&record.labels, &info.labels, &mask, &what)?;
            labels::validate("info.Labels", &updated)?;
            record.labels = masks::storable(&updated).map_err(|e| e.during("failed to read labels"))?;
            record.updated_at = crate::clock::now();
            this.ledger(&scope).put(tx, &info.name, &record)?;
            Ok(this.shown(&record, &info.name))
        });
        write.await
    }

    async fn usage(&self, scope: &Scope, key: &str) -> Result<Usage> {
        let (record, layer) = self.database.read(|tx| self.with_layer(tx, scope, key))?;
        match record.kind {
            Kind::View => Ok(Usage::default()),
            Kind::Committed => Ok(record.usage),
            Kind::Active => match self.backend.usage(layer).await {
                Ok(usage) => Ok(usage),
                // It may have been removed or committed while it was measured.
                Err(error) => match self.database.read(|tx| self.get(tx, scope, key)) {
                    Err(e) if e.is_not_found() => Err(e),
                    Ok(now) if now.kind == Kind::Committed => Ok(now.usage),
                    _ => Err(error),
                },
            },
        }
    }

    async fn mounts(&self, scope: &Scope, key: &str) -> Result<Vec<Mount>> {
        let (record, layer) = self.database.read(|tx| self.with_layer(tx, scope, key))?;
        if record.kind == Kind::Committed {
            let key = backend_key(scope, record.id, key);
            let text = format!("failed to get active mount: requested snapshot {key} not active or view");
            return Err(Error::failed_precondition(text));
        }
        self.backend.mounts(&layer)
    }

    async fn prepare(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>> {
        let (this, scope) = (self.clone(), scope.clone());
        to_end(async move { this.create(scope, prepare, Kind::Active).await }).await
    }

    async fn view(&self, scope: &Scope, prepare: Prepare) -> Result<Vec<Mount>> {
        let (this, scope) = (self.clone(), scope.clone());
        to_end(async move { this.create(scope, prepare, Kind::View).await }).await
    }

    async fn commit(&self, scope: &Scope, commit: Commit) -> Result<()> {
        let (this, scope) = (self.clone(), scope.clone());
        to_end(async move { this.commit_active(scope, commit).await }).await
    }

    async fn remove(&self, scope: &Scope, key: &str) -> Result<()> {
        self.remove_row(scope, key).await
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Info>> {
        let filters = Filters::parse(filters)?;
        let found = self.database.read(|tx| self.ledger(scope).list(tx))?;
        let infos = found.iter().map(|(key, record)| self.shown(record, key));
        Ok(infos.filter(|info| filters.matches(info)).collect())
    }

    fn has_cleanup(&self) -> bool {
        false
    }

    async fn cleanup(&self, _scope: &Scope) -> Result<()> {
        Err(model::snapshots::no_cleanup())
    }
}
