//! Image records: under which names an image is kept.

use super::{Transfers, documents};
use crate::clock;
use archive::layout::{self, FullNames};
use model::images::{Image, Update};
use model::transfer::ImageStore;
use model::{Error, Kind, Labels, Mask, Result, Scope, labels};
use oci::Descriptor;

impl Transfers {
    /// Writes the records of an image; returns their names.
    ///
    /// # Errors
    /// `NotFound` when the request names none.
    pub(super) async fn keep(
        &self,
        scope: &Scope,
        store: &ImageStore,
        image: &Descriptor,
    ) -> Result<Vec<String>> {
        let mut names = Vec::new();
        if !store.name.is_empty() {
            self.write(scope, record(&store.name, store.labels.clone(), image)).await?;
            names.push(store.name.clone());
        }
        for reference in store.extra_references.iter().filter(|r| !r.is_prefix) {
            let mut wanted = vec![reference.name.clone()];
            if reference.add_digest {
                wanted.push(layout::digest_name(&reference.name, &image.digest));
            }
            for name in wanted {
                let mut own = store.labels.clone();
                if !store.name.is_empty() {
                    own.insert("containerd.io/gc.bref.image".into(), store.name.clone());
                    own.insert(labels::GC_EXPIRE.into(), clock::now().to_rfc3339());
                }
                self.write(scope, record(&name, own, image)).await?;
                names.push(name);
            }
        }
        match names.is_empty() {
            true => Err(Error::new(Kind::NotFound, "no image name found: not found")),
            false => Ok(names),
        }
    }

    /// Writes the records of one image of an archive, which may have none.
    pub(super) async fn keep_imported(
        &self,
        scope: &Scope,
        store: &ImageStore,
        image: &Descriptor,
    ) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for reference in store.extra_references.iter().filter(|r| r.is_prefix) {
            let full = if reference.allow_overwrite { FullNames::Keep } else { FullNames::Filter };
            let name = layout::image_name(&image.annotations, &reference.name, full);
            let named = name.is_some();
            names.extend(name);
            if reference.add_digest && !(named && reference.skip_named_digest) {
                names.push(layout::digest_name(&reference.name, &image.digest));
            }
        }
        for name in &names {
            self.write(scope, record(name, store.labels.clone(), image)).await?;
        }
        Ok(names)
    }

    async fn write(&self, scope: &Scope, image: Image) -> Result<()> {
        match self.images.create(scope, image.clone(), None).await {
            Err(e) if e.is_already_exists() => {
                let update = Update { image, mask: Mask::default(), source_date: None };
                self.images.update(scope, update).await.map(drop)
            }
            other => other.map(drop),
        }
    }
}

fn record(name: &str, labels: Labels, image: &Descriptor) -> Image {
    let now = clock::now();
    Image { name: name.into(), labels, target: documents::target(image), created_at: now, updated_at: now }
}
