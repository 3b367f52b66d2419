//! Removing what no row names from the disk.

use super::Content;
use crate::gc::Cleaned;
use model::Result;
use std::collections::HashSet;
use store::content;

impl Content {
    /// Removes the blobs and ingests that no row of any namespace names. What cannot be removed does not keep the rest.
    ///
    /// # Errors
    /// Those of the disk and of the store, when they do not tell what there is.
    pub(crate) async fn sweep_backend(&self) -> Result<Cleaned> {
        let this = self.clone();
        let sweep = self.gate.run("clean up", move || {
            let mut cleaned = Cleaned::default();
            this.sweep_blobs(&mut cleaned)?;
            this.sweep_ingests(&mut cleaned)?;
            Ok(cleaned)
        });
        sweep.await
    }

    /// A blob goes if nobody has claimed it and no row names it while we have the claim.
    fn sweep_blobs(&self, cleaned: &mut Cleaned) -> Result<()> {
        let found = self.blobs.list()?;
        let named = self.database.read(|tx| content::named(tx))?;
        for blob in found.into_iter().filter(|b| !named.digests.contains(b.digest.as_str())) {
            let Some(_claim) = self.claims.try_hold(blob.digest.clone()) else {
                cleaned.claimed += 1;
                continue;
            };
            if !self.database.read(|tx| content::is_named(tx, blob.digest.as_str()))? {
                cleaned.note(self.blobs.delete(&blob.digest));
            }
        }
        Ok(())
    }

    /// An ingest's row comes before its bytes: bytes that were there before we read the rows, and have none, are
    /// rubbish, whatever state they are in.
    fn sweep_ingests(&self, cleaned: &mut Cleaned) -> Result<()> {
        let found = self.blobs.ingests()?;
        let named = self.database.read(|tx| content::named(tx))?;
        let named: HashSet<String> = named.ingests.iter().map(|i| self.blobs.ingest_name(i)).collect();
        for name in found.into_iter().filter(|name| !named.contains(name)) {
            cleaned.note(self.blobs.discard(&name));
        }
        Ok(())
    }
}
