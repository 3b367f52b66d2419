//! From the image store to the image store: a further name.

use super::{Transfers, documents};
use model::Result;
use model::Scope;
use model::transfer::ImageStore;

impl Transfers {
    /// Gives an image further names. The labels are those of the request.
    pub(super) async fn tag(&self, scope: &Scope, source: &ImageStore, store: &ImageStore) -> Result<()> {
        let image = self.images.get(scope, &source.name).await?;
        let descriptor = documents::descriptor(&image.target)?;
        self.keep(scope, store, &descriptor).await.map(drop)
    }
}
