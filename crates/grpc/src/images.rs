//! `containerd.services.images.v1.Images`

use crate::{Answer, answer, scope, status};
use model::{Timestamp, images as noun};
use std::sync::Arc;
use tonic::Request;
use wire::api::images::*;

pub struct Service(pub Arc<dyn noun::Images>);

#[tonic::async_trait]
impl images_server::Images for Service {
    async fn get(&self, request: Request<GetImageRequest>) -> Answer<GetImageResponse> {
        let image = self.0.get(&scope(&request)?, &request.get_ref().name).await.map_err(status)?;
        answer(GetImageResponse { image: Some(image.into()) })
    }

    async fn list(&self, request: Request<ListImagesRequest>) -> Answer<ListImagesResponse> {
        let images = self.0.list(&scope(&request)?, &request.get_ref().filters).await.map_err(status)?;
        answer(ListImagesResponse { images: wire::fields::list(images) })
    }

    async fn create(&self, request: Request<CreateImageRequest>) -> Answer<CreateImageResponse> {
        let scope = scope(&request)?;
        let (image, source_date) =
            <(noun::Image, Option<Timestamp>)>::try_from(request.into_inner()).map_err(status)?;
        let image = self.0.create(&scope, image, source_date).await.map_err(status)?;
        answer(CreateImageResponse { image: Some(image.into()) })
    }

    async fn update(&self, request: Request<UpdateImageRequest>) -> Answer<UpdateImageResponse> {
        let scope = scope(&request)?;
        let update = noun::Update::try_from(request.into_inner()).map_err(status)?;
        let image = self.0.update(&scope, update).await.map_err(status)?;
        answer(UpdateImageResponse { image: Some(image.into()) })
    }

    async fn delete(&self, request: Request<DeleteImageRequest>) -> Answer<()> {
        let scope = scope(&request)?;
        self.0.delete(&scope, request.into_inner().into()).await.map_err(status)?;
        answer(())
    }
}
