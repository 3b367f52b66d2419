//! Image records over gRPC.

use crate::connect::answer;
use crate::{Client, scoped, stub};
use async_trait::async_trait;
use model::images::{Delete, Image, Images, Update};
use model::{Result, Scope, Timestamp};
use wire::api::images::*;
use wire::fields::required;

#[async_trait]
impl Images for Client {
    async fn get(&self, scope: &Scope, name: &str) -> Result<Image> {
        let request = scoped(scope, GetImageRequest { name: name.into() })?;
        let found = answer(stub!(self, images::images_client::ImagesClient).get(request).await)?;
        required(found.image, "image")?.try_into()
    }

    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Image>> {
        let request = scoped(scope, ListImagesRequest { filters: filters.to_vec() })?;
        let found = answer(stub!(self, images::images_client::ImagesClient).list(request).await)?;
        found.images.into_iter().map(TryInto::try_into).collect()
    }

    async fn create(&self, scope: &Scope, image: Image, source_date: Option<Timestamp>) -> Result<Image> {
        let request = scoped(scope, CreateImageRequest::from((image, source_date)))?;
        let made = answer(stub!(self, images::images_client::ImagesClient).create(request).await)?;
        required(made.image, "image")?.try_into()
    }

    async fn update(&self, scope: &Scope, update: Update) -> Result<Image> {
        let request = scoped(scope, UpdateImageRequest::from(update))?;
        let made = answer(stub!(self, images::images_client::ImagesClient).update(request).await)?;
        required(made.image, "image")?.try_into()
    }

    async fn delete(&self, scope: &Scope, delete: Delete) -> Result<()> {
        let request = scoped(scope, DeleteImageRequest::from(delete))?;
        answer(stub!(self, images::images_client::ImagesClient).delete(request).await)
    }
}
