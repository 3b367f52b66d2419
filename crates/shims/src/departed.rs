//! Tasks whose shim has gone before the daemon heard it tell of their deletion.
//!
//! A shim may end with its last events untold, and what it has written may still be on its way when it is gone: then
//! the name is free, and may be another task's. So these are kept beside the table for a while, to tell late words of
//! the old task from news of the new one.

use crate::exits::Exits;
use crate::shim::Shim;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are kept. What is late comes within moments.
const KEPT: usize = 1024;

/// Tasks that are not in the table any more.
#[derive(Debug, Default)]
pub(crate) struct Departed(Mutex<VecDeque<Departure>>);

#[derive(Debug)]
struct Departure {
    namespace: String,
    id: String,
    exits: Arc<Exits>,
}

impl Departed {
    /// Keeps a task; to be called before its name is free.
    pub(crate) fn add(&self, shim: &Shim) {
        let (namespace, id) = (shim.namespace.to_string(), shim.id.to_string());
        let mut all = self.lock();
        if all.len() >= KEPT {
            all.pop_front();
        }
        all.push_back(Departure { namespace, id, exits: Arc::clone(&shim.exits) });
    }

    /// What was told of the task that had this name and this init.
    pub(crate) fn find(&self, namespace: &str, id: &str, pid: u32) -> Option<Arc<Exits>> {
        let all = self.lock();
        let mut named = all.iter().filter(|one| one.namespace == namespace && one.id == id);
        named.find(|one| one.exits.pid() == pid).map(|one| Arc::clone(&one.exits))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Departure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
