//! The driver behind a snapshotter: its numbers, and whose turn it is at each.

use super::disk;
use crate::claims::{Claim, Claims};
use crate::gc::Cleaned;
use model::snapshots::{Driver, Layer};
use model::{Error, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A driver, and who works at which number.
pub(super) struct Backend {
    driver: Arc<dyn Driver>,
    last: AtomicU64,
    claims: Arc<Claims<u64>>,
}

impl Backend {
    /// A driver whose numbers go on after those in use.
    pub(super) fn open(driver: Arc<dyn Driver>, taken: u64) -> Result<Self> {
        let found = driver.list()?.into_iter().max().unwrap_or(0);
        Ok(Self { driver, last: AtomicU64::new(found.max(taken)), claims: Claims::new() })
    }

    /// Whether an active snapshot without parents may get one at commit.
    pub(super) fn can_rebase(&self) -> bool {
        self.driver.can_rebase()
    }

    /// A number that was never used, claimed.
    pub(super) async fn reserve(&self) -> (u64, Claim<u64>) {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        (id, self.claims.hold(id).await)
    }

    /// Waits for the turn at a number.
    pub(super) async fn claim(&self, id: u64) -> Claim<u64> {
        self.claims.hold(id).await
    }

    /// Lets the driver work; the caller has the claim.
    pub(super) async fn run_claimed<T: Send + 'static>(
        &self,
        layer: Layer,
        work: impl FnOnce(&dyn Driver, &Layer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let driver = self.driver.clone();
        disk(move || work(&*driver, &layer)).await
    }

    /// Lets the driver work when it is its turn at the number.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        layer: Layer,
        work: impl FnOnce(&dyn Driver, &Layer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let claim = self.claim(layer.id).await;
        let driver = self.driver.clone();
        disk(move || {
            let _claim = claim;
            work(&*driver, &layer)
        })
        .await
    }

    /// Removes a directory that no row names; its claim is held.
    pub(super) async fn discard(&self, id: u64, first: Error) -> Error {
        let driver = self.driver.clone();
        match disk(move || driver.remove(id)).await {
            Ok(()) => first,
            Err(second) => first.beside(second),
        }
    }

    /// Removes the directories that are not among the named numbers and that nobody works at. Names are read after
    /// the claims are taken: a directory whose row came in between is named by then.
    pub(super) async fn sweep(
        &self,
        named: impl Fn() -> Result<HashSet<u64>> + Send + 'static,
    ) -> Result<Cleaned> {
        let (driver, claims) = (self.driver.clone(), self.claims.clone());
        disk(move || {
            let found = driver.list()?;
            let known = named()?;
            let suspects: Vec<u64> = found.into_iter().filter(|id| !known.contains(id)).collect();
            let held: Vec<_> =
                suspects.iter().filter_map(|id| claims.try_hold(*id).map(|claim| (*id, claim))).collect();
            let mut cleaned = Cleaned { removed: 0, claimed: suspects.len() - held.len() };
            if held.is_empty() {
                return Ok(cleaned);
            }
            let known = named()?;
            for (id, _claim) in held.into_iter().filter(|(id, _)| !known.contains(id)) {
                driver.remove(id)?;
                cleaned.removed += 1;
            }
            Ok(cleaned)
        })
        .await
    }
}
