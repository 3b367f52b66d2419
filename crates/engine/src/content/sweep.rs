//! Removing what no row names from the disk.

use super::Content;
use crate::disk::disk;
use crate::gc::Cleaned;
use model::Result;
use store::content;

impl Content {
    /// Removes the blobs and ingests that no row of any namespace names.
    ///
    /// # Errors
    /// Those of the disk and of the store.
    pub(crate) async fn sweep_backend(&self) -> Result<Cleaned> {
        let this = self.clone();
        disk(move || {
            let mut cleaned = this.sweep_blobs()?;
            cleaned.removed += this.sweep_ingests()?;
            Ok(cleaned)
        })
        .await
    }

    /// A blob goes if nobody has claimed it and no row names it while we have the claim.
    fn sweep_blobs(&self) -> Result<Cleaned> {
        let found = self.blobs.list()?;
        let named = self.database.read(|tx| content::named(tx))?;
        let mut cleaned = Cleaned::default();
        for blob in found.into_iter().filter(|b| !named.digests.contains(b.digest.as_str())) {
            let Some(_claim) = self.claims.try_hold(blob.digest.clone()) else {
                cleaned.claimed += 1;
                continue;
            };
            if self.database.read(|tx| content::is_named(tx, blob.digest.as_str()))? {
                continue;
            }
            match self.blobs.delete(&blob.digest) {
                Ok(()) => cleaned.removed += 1,
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(cleaned)
    }

    /// An ingest's row comes before its bytes: bytes that were there before we read the rows, and have none, are
    /// rubbish.
    fn sweep_ingests(&self) -> Result<usize> {
        let found = self.blobs.statuses()?;
        let named = self.database.read(|tx| content::named(tx))?;
        let mut removed = 0;
        for ingest in found.into_iter().filter(|i| !named.ingests.contains(&i.reference)) {
            match self.blobs.abort(&ingest.reference) {
                Ok(()) => removed += 1,
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e),
            }
        }
        Ok(removed)
    }
}
