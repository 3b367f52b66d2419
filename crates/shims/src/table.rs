//! The table of all tasks: names, and whether they are being made or there.

use crate::shim::Shim;
use model::{ContainerId, Error, Kind, Namespace, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Tasks by namespace and id.
#[derive(Debug, Default)]
pub(crate) struct Table(Mutex<BTreeMap<String, BTreeMap<String, Slot>>>);

/// What a name stands for. `None` while it is made, and when it is there but could not be asked.
type Slot = Option<Arc<Shim>>;

impl Table {
    /// Takes a name for a task that is to be made.
    ///
    /// # Errors
    /// `task <id>: already exists`.
    pub(crate) fn reserve(&self, namespace: &Namespace, id: &ContainerId) -> Result<Reservation<'_>> {
        let mut names = self.lock();
        let tasks = names.entry(namespace.to_string()).or_default();
        if tasks.contains_key(id.as_str()) {
            return Err(Error::already_exists(format!("task {id}")));
        }
        tasks.insert(id.to_string(), None);
        Ok(Reservation { table: self, name: Some((namespace.clone(), id.clone())) })
    }

    /// The shim of a task that can be asked.
    pub(crate) fn get(&self, namespace: &Namespace, id: &str) -> Result<Arc<Shim>> {
        let found = self.find(namespace, id).filter(|shim| shim.is_live());
        found.ok_or_else(|| Error::new(Kind::NotFound, format!("task {id} not found")))
    }

    /// The shim of a task, whatever its state.
    pub(crate) fn find(&self, namespace: &str, id: &str) -> Option<Arc<Shim>> {
        self.lock().get(namespace)?.get(id)?.clone()
    }

    /// The shims of a namespace that can be asked, by id.
    pub(crate) fn list(&self, namespace: &str) -> Vec<Arc<Shim>> {
        let names = self.lock();
        let shims = names.get(namespace).into_iter().flat_map(BTreeMap::values).flatten();
        shims.filter(|shim| shim.is_live()).cloned().collect()
    }

    /// A line for each name and what it stands for.
    pub(crate) fn overview(&self) -> Vec<String> {
        let names = self.lock();
        let tasks =
            names.iter().flat_map(|(namespace, tasks)| tasks.iter().map(move |task| (namespace, task)));
        let line = |(namespace, (id, slot)): (&String, (&String, &Slot))| match slot {
            Some(shim) => format!("{namespace}/{id} {:?} {}", *shim.life.borrow(), shim.address),
            None => format!("{namespace}/{id} is being made or could not be asked"),
        };
        tasks.map(line).collect()
    }

    /// Whether a name is taken.
    pub(crate) fn holds(&self, namespace: &str, id: &str) -> bool {
        self.lock().get(namespace).is_some_and(|tasks| tasks.contains_key(id))
    }

    /// Whether another task uses the same shim.
    pub(crate) fn is_shared(&self, shim: &Shim) -> bool {
        let names = self.lock();
        let mut all = names.values().flat_map(BTreeMap::values).flatten();
        all.any(|other| other.address == shim.address && !std::ptr::eq(&**other, shim))
    }

    /// Puts a shim under its name.
    pub(crate) fn put(&self, shim: &Arc<Shim>) {
        let mut names = self.lock();
        names
            .entry(shim.namespace.to_string())
            .or_default()
            .insert(shim.id.to_string(), Some(Arc::clone(shim)));
    }

    /// Frees a name.
    pub(crate) fn remove(&self, namespace: &str, id: &str) {
        let mut names = self.lock();
        if let Some(tasks) = names.get_mut(namespace) {
            tasks.remove(id);
            if tasks.is_empty() {
                names.remove(namespace);
            }
        }
    }

    /// Keeps a name taken for a task that cannot be asked.
    pub(crate) fn keep(&self, namespace: &Namespace, id: &ContainerId) {
        self.lock().entry(namespace.to_string()).or_default().entry(id.to_string()).or_default();
    }

    /// Forgets everything; the shims that were known.
    pub(crate) fn take(&self) -> Vec<Arc<Shim>> {
        let names = std::mem::take(&mut *self.lock());
        names.into_values().flat_map(BTreeMap::into_values).flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name that is taken while its task is made; dropping it frees the name.
#[must_use]
pub(crate) struct Reservation<'a> {
    table: &'a Table,
    name: Option<(Namespace, ContainerId)>,
}

impl Reservation<'_> {
    /// The task is there.
    pub(crate) fn fill(mut self, shim: &Arc<Shim>) {
        self.name = None;
        self.table.put(shim);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if let Some((namespace, id)) = &self.name {
            self.table.remove(namespace, id);
        }
    }
}
