//! Claims: who works on a thing right now, so that nobody else removes or changes it under their hands.
//!
//! A claim is exclusive, lives in memory and ends with its guard. Use-cases wait for a claim; the collector only tries.
//! Work on a disk keeps a share of its claim: it may go on when whoever waited for it has lost patience.

use crate::disk::TURN;
use model::{Error, Result};
use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// The claims on the things of one kind.
#[derive(Debug)]
pub(crate) struct Claims<K> {
    held: Mutex<HashSet<K>>,
    freed: Notify,
    patience: Duration,
}

/// A claim on a thing; dropping it lets the next one go on.
#[derive(Debug)]
pub(crate) struct Claim<K: Clone + Eq + Hash> {
    claims: Arc<Claims<K>>,
    key: K,
}

impl<K: Clone + Display + Eq + Hash> Claims<K> {
    /// Waits until nobody else has the thing.
    ///
    /// # Errors
    /// `DeadlineExceeded` when whoever has it does not let it go.
    pub(crate) async fn hold(self: &Arc<Self>, key: K) -> Result<Claim<K>> {
        let text = format!("{key}: whoever works on it is not done after {:?}", self.patience);
        let held = tokio::time::timeout(self.patience, self.wait(key)).await;
        held.map_err(|_| Error::deadline(text))
    }

    async fn wait(self: &Arc<Self>, key: K) -> Claim<K> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(claim) = self.try_hold(key.clone()) {
                return claim;
            }
            freed.await;
        }
    }
}

impl<K: Clone + Eq + Hash> Claims<K> {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { held: Mutex::new(HashSet::new()), freed: Notify::new(), patience: TURN })
    }

    /// The claim, if nobody else has the thing.
    pub(crate) fn try_hold(self: &Arc<Self>, key: K) -> Option<Claim<K>> {
        self.lock().insert(key.clone()).then(|| Claim { claims: self.clone(), key })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<K>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Drop for Claim<K> {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.key);
        self.claims.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time() {
        let claims = Claims::new();
        let first = claims.hold(1).await.expect("free");
        assert!(claims.try_hold(1).is_none());
        drop(claims.hold(2).await.expect("free"));
        let waiting = tokio::spawn({
            let claims = claims.clone();
            async move { claims.hold(1).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        drop(waiting.await.expect("joined").expect("free"));
        assert!(claims.try_hold(1).is_some());
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let claims =
            Claims { patience: Duration::from_millis(10), ..Arc::into_inner(Claims::new()).expect("new") };
        let claims = Arc::new(claims);
        let _held = claims.hold(1).await.expect("free");
        let error = claims.hold(1).await.expect_err("held");
        assert_eq!(error.text(), "1: whoever works on it is not done after 10ms: context deadline exceeded");
    }
}
