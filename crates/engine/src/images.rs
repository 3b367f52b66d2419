//! Images: names for descriptors.

use crate::database::Database;
use crate::gc::{Collector, Gone};
use crate::{clock, leased, masks};
use async_trait::async_trait;
use model::events::Event;
use model::filters::Filters;
use model::images::{Delete, Image, Update};
use model::{Error, Kind, Mask, Result, Scope, Timestamp, labels};
use std::sync::Arc;
use store::{WriteTx, images};

/// The images of the store.
pub(crate) struct Images {
    pub(crate) database: Arc<Database>,
    pub(crate) collector: Arc<Collector>,
}

#[async_trait]
impl model::images::Images for Images {
    async fn get(&self, scope: &Scope, name: &str) -> Result<Image> {
        let found = self.database.read(|tx| images::find(tx, &scope.namespace, name))?;
        found.ok_or_else(|| missing(name))
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Image>> {
        let filters = Filters::parse(filters).map_err(masks::twice)?;
        let mut found = self.database.read(|tx| images::list(tx, &scope.namespace))?;
        found.retain(|image| filters.matches(image));
        Ok(found)
    }

    async fn create(&self, scope: &Scope, mut image: Image, source_date: Option<Timestamp>) -> Result<Image> {
        check_name(&image)?;
        image.validate()?;
        let scope = scope.clone();
        let write = self.database.write(move |tx| {
            lease(tx, &scope, &image)?;
            if images::find(tx, &scope.namespace, &image.name)?.is_some() {
                return Err(Error::already_exists(format!("image {:?}", image.name)));
            }
            image.created_at = source_date.unwrap_or_else(clock::now);
            image.updated_at = image.created_at;
            clean(&mut image)?;
            images::put(tx, &scope.namespace, &image)?;
            tx.emit(&scope.namespace, Event::image_create(&image));
            Ok(image)
        });
        write.await
    }

    async fn update(&self, scope: &Scope, update: Update) -> Result<Image> {
        check_name(&update.image)?;
        let scope = scope.clone();
        let write = self.database.write(move |tx| {
            let Some(stored) = images::find(tx, &scope.namespace, &update.image.name)? else {
                return Err(missing(&update.image.name));
            };
            let mut updated = apply(&stored, &update.image, &update.mask)?;
            updated.validate()?;
            lease(tx, &scope, &updated)?;
            updated.created_at = stored.created_at;
            updated.updated_at = update.source_date.unwrap_or_else(clock::now);
            clean(&mut updated)?;
            images::put(tx, &scope.namespace, &updated)?;
            let (name, labels) = (updated.name.clone(), updated.labels.clone());
            tx.emit(&scope.namespace, Event::ImageUpdate { name, labels });
            Ok(updated)
        });
        write.await
    }

    async fn delete(&self, scope: &Scope, delete: Delete) -> Result<()> {
        let (scope, sync) = (scope.clone(), delete.sync);
        let write = self.database.remove(Gone::Holder, move |tx| {
            let name = delete.name;
            let Some(stored) = images::find(tx, &scope.namespace, &name)? else {
                return Err(missing(&name));
            };
            if let Some(target) =
                delete.target.filter(|t| !t.digest.is_empty() && t.digest != stored.target.digest)
            {
                let text =
                    format!("image {name:?} has target {}, not {}", stored.target.digest, target.digest);
                return Err(Error::not_found(text));
            }
            leased::remove(tx, &scope, &leased::image(&name))?;
            images::delete(tx, &scope.namespace, &name)?;
            tx.emit(&scope.namespace, Event::ImageDelete { name });
            Ok(())
        });
        write.await?;
        if sync {
            self.collector.collect().await?;
        }
        Ok(())
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("image {name:?}"))
}

fn check_name(image: &Image) -> Result<()> {
    if image.name.is_empty() {
        return Err(Error::new(Kind::InvalidArgument, "Image.Name required"));
    }
    Ok(())
}

/// An image that expires joins the request's lease; any other is held by its own record.
fn lease(tx: &mut WriteTx<'_>, scope: &Scope, image: &Image) -> Result<()> {
    if image.labels.contains_key(labels::GC_EXPIRE) {
        leased::add(tx, scope, &leased::image(&image.name))?;
    }
    Ok(())
}

fn apply(stored: &Image, request: &Image, mask: &Mask) -> Result<Image> {
    let Some(paths) = mask.paths() else { return Ok(request.clone()) };
    let mut updated = stored.clone();
    for path in paths {
        let annotations = ("annotations", &mut updated.target.annotations);
        if path == "target" {
            updated.target.clone_from(&request.target);
        } else if !masks::take_map(annotations, path, &request.target.annotations)
            && !masks::take_labels(&mut updated.labels, path, &request.labels)
        {
            return Err(masks::refused(path, &format!("image {:?}", request.name)));
        }
    }
    Ok(updated)
}

/// Drops what is not stored: empty labels and empty annotations.
fn clean(image: &mut Image) -> Result<()> {
    let during = |what: &str| format!("writing {what} for image {}", image.name);
    image.labels = masks::storable(&image.labels).map_err(|e| e.during(during("labels")))?;
    image.target.annotations =
        masks::storable(&image.target.annotations).map_err(|e| e.during(during("Annotations")))?;
    Ok(())
}
