//! Image records: under which names an image is kept.

use super::{Transfers, documents};
use crate::clock;
use model::images::{Image, Update};
use model::transfer::{ImageReference, ImageStore};
use model::{Error, Kind, Labels, Mask, Result, Scope, labels};
use oci::Descriptor;
use oci::descriptor::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME};

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
                wanted.push(format!("{}@{}", reference.name, image.digest));
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
            let name = translate(reference, image);
            let named = name.is_some();
            names.extend(name);
            if reference.add_digest && !(named && reference.skip_named_digest) {
                names.push(format!("{}@{}", reference.name, image.digest));
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

/// The name that an archive's annotations give an image, under the request's prefix.
fn translate(reference: &ImageReference, image: &Descriptor) -> Option<String> {
    let annotation = |key: &str| image.annotations.get(key).filter(|name| !name.is_empty());
    let full = annotation(ANNOTATION_IMAGE_NAME).or_else(|| annotation(ANNOTATION_REF_NAME))?;
    let bare = !full.contains(['/', ':', '@']);
    match (bare, reference.allow_overwrite) {
        (true, _) => Some(format!("{}:{full}", reference.name)),
        (false, true) => Some(full.clone()),
        (false, false) => full.starts_with(&reference.name).then(|| full.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_annotations() {
        let prefix = |overwrite| ImageReference {
            name: "host/repo".into(),
            is_prefix: true,
            allow_overwrite: overwrite,
            ..ImageReference::default()
        };
        let image = |key: &str, name: &str| {
            let mut image = Descriptor::of("application/json", b"{}");
            image.annotations.insert(key.into(), name.into());
            image
        };
        for (overwrite, key, name, expected) in [
            (true, ANNOTATION_REF_NAME, "latest", Some("host/repo:latest")),
            (true, ANNOTATION_REF_NAME, "other/image:1", Some("other/image:1")),
            (false, ANNOTATION_REF_NAME, "other/image:1", None),
            (false, ANNOTATION_IMAGE_NAME, "host/repo:2", Some("host/repo:2")),
            (true, ANNOTATION_REF_NAME, "", None),
        ] {
            assert_eq!(translate(&prefix(overwrite), &image(key, name)).as_deref(), expected, "{name}");
        }
    }
}
