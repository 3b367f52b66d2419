//! One writer at a time for a ref.

use model::{Error, Result, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// The refs that have a writer, and since when.
#[derive(Clone, Debug, Default)]
pub struct Locks(Arc<Mutex<HashMap<String, SystemTime>>>);

/// The right to write a ref, until dropped.
#[derive(Debug)]
pub struct Locked {
    locks: Locks,
    reference: String,
}

impl Locks {
    /// Takes a ref.
    ///
    /// # Errors
    /// `Unavailable` while it has a writer.
    pub fn take(&self, reference: &str) -> Result<Locked> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(since) = held.get(reference) {
            let duration = since.elapsed().unwrap_or_default();
            let since = Timestamp::from(*since).to_rfc3339();
            return Err(Error::unavailable(format!(
                "ref {reference} locked for {duration:?} (since {since})"
            )));
        }
        held.insert(reference.into(), SystemTime::now());
        Ok(Locked { locks: self.clone(), reference: reference.into() })
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.locks.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.reference);
    }
}
