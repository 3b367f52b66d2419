//! The driver behind a snapshotter: its numbers, and whose turn it is at each.

use crate::claims::{Claim, Claims};
use crate::disk::Gate;
use crate::gc::Cleaned;
use model::snapshots::{Driver, Layer, Usage};
use model::{Error, Labels, Mount, Result};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A driver, and who works at which number.
pub(super) struct Backend {
    driver: Arc<dyn Driver>,
    last: AtomicU64,
    claims: Arc<Claims<u64>>,
    gate: Arc<Gate>,
}

/// The turn at a number. Whoever works on the disk has a share of it, for as long as it takes.
pub(super) type Turn = Arc<Claim<u64>>;

impl Backend {
    /// A driver whose numbers go on after those in use.
    pub(super) fn open(driver: Arc<dyn Driver>, gate: Arc<Gate>, taken: u64) -> Result<Self> {
        let found = driver.list()?.into_iter().max().unwrap_or(0);
        Ok(Self { driver, last: AtomicU64::new(found.max(taken)), claims: Claims::new(), gate })
    }

    /// How to mount a layer; no I/O.
    pub(super) fn mounts(&self, layer: &Layer) -> Result<Vec<Mount>> {
        self.driver.mounts(layer)
    }

    /// What the driver adds to the labels of a snapshot.
    pub(super) fn labels(&self, id: u64) -> Labels {
        self.driver.labels(id)
    }

    /// Whether an active snapshot without parents may get one at commit.
    pub(super) fn can_rebase(&self) -> bool {
        self.driver.can_rebase()
    }

    /// A number that was never used, claimed.
    pub(super) async fn reserve(&self) -> Result<(u64, Turn)> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        Ok((id, self.claim(id).await?))
    }

    /// Waits for the turn at a number.
    pub(super) async fn claim(&self, id: u64) -> Result<Turn> {
        self.claims.hold(id).await.map(Arc::new).map_err(|e| e.during("snapshot directory"))
    }

    /// Lets the driver change a directory; the caller has the turn.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        (step, turn): (&str, &Turn),
        layer: Layer,
        work: impl FnOnce(&dyn Driver, &Layer) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (driver, turn) = (self.driver.clone(), turn.clone());
        let step = format!("{step} directory {}", layer.id);
        let change = self.gate.run(&step, move || {
            let _turn = turn;
            work(&*driver, &layer)
        });
        change.await
    }

    /// What an active snapshot occupies now, whoever works on it.
    pub(super) async fn usage(&self, layer: Layer) -> Result<Usage> {
        let (driver, step) = (self.driver.clone(), format!("measure directory {}", layer.id));
        self.gate.run(&step, move || driver.usage(&layer)).await
    }

    /// Removes a directory that no row names; the caller has the turn.
    pub(super) async fn discard(&self, (id, turn): (u64, &Turn), first: Error) -> Error {
        let (driver, turn) = (self.driver.clone(), turn.clone());
        let step = format!("remove directory {id}");
        let remove = self.gate.run(&step, move || {
            let _turn = turn;
            driver.remove(id)
        });
        match remove.await {
            Ok(()) => first,
            Err(second) => first.beside(second),
        }
    }

    /// Removes the directories that are not among the named numbers and that nobody works at. Names are read after
    /// the claims are taken: a directory whose row came in between is named by then. A directory that cannot be removed
    /// does not keep the others.
    pub(super) async fn sweep(
        &self,
        named: impl Fn() -> Result<HashSet<u64>> + Send + 'static,
    ) -> Result<Cleaned> {
        let (driver, claims) = (self.driver.clone(), self.claims.clone());
        let sweep = self.gate.run("clean up", move || {
            let found = driver.list()?;
            let known = named()?;
            let suspects: Vec<u64> = found.into_iter().filter(|id| !known.contains(id)).collect();
            let held: Vec<_> =
                suspects.iter().filter_map(|id| claims.try_hold(*id).map(|claim| (*id, claim))).collect();
            let mut cleaned = Cleaned { claimed: suspects.len() - held.len(), ..Cleaned::default() };
            if held.is_empty() {
                return Ok(cleaned);
            }
            let known = named()?;
            for (id, _claim) in held.into_iter().filter(|(id, _)| !known.contains(id)) {
                cleaned.note(driver.remove(id));
            }
            Ok(cleaned)
        });
        sweep.await
    }
}
