//! Image records and descriptors across the wire.

use model::images::{Delete, Image, Target, Update};
use model::{Error, Result, Timestamp};

use crate::api::images::{self, CreateImageRequest, DeleteImageRequest, UpdateImageRequest};
use crate::api::types::Descriptor;
use crate::fields::{mask, optional_time, required, time, wire_mask, wire_time};

impl From<Descriptor> for Target {
    fn from(wire: Descriptor) -> Self {
        let Descriptor { media_type, digest, size, annotations } = wire;
        Self { media_type, digest, size, annotations }
    }
}

impl From<Target> for Descriptor {
    fn from(target: Target) -> Self {
        let Target { media_type, digest, size, annotations } = target;
        Self { media_type, digest, size, annotations }
    }
}

impl TryFrom<images::Image> for Image {
    type Error = Error;
    fn try_from(wire: images::Image) -> Result<Self> {
        Ok(Self {
            name: wire.name,
            labels: wire.labels,
            target: required(wire.target, "image.target")?.into(),
            created_at: time(wire.created_at),
            updated_at: time(wire.updated_at),
        })
    }
}

impl From<Image> for images::Image {
    fn from(image: Image) -> Self {
        Self {
            name: image.name,
            labels: image.labels,
            target: Some(image.target.into()),
            created_at: wire_time(image.created_at),
            updated_at: wire_time(image.updated_at),
        }
    }
}

/// The image and the time to record instead of now.
impl TryFrom<CreateImageRequest> for (Image, Option<Timestamp>) {
    type Error = Error;
    fn try_from(request: CreateImageRequest) -> Result<Self> {
        let image = required(request.image, "image")?.try_into()?;
        Ok((image, optional_time(request.source_date_epoch)))
    }
}

impl From<(Image, Option<Timestamp>)> for CreateImageRequest {
    fn from((image, source_date): (Image, Option<Timestamp>)) -> Self {
        Self { image: Some(image.into()), source_date_epoch: source_date.and_then(wire_time) }
    }
}

impl TryFrom<UpdateImageRequest> for Update {
    type Error = Error;
    fn try_from(request: UpdateImageRequest) -> Result<Self> {
        Ok(Self {
            image: required(request.image, "image")?.try_into()?,
            mask: mask(request.update_mask),
            source_date: optional_time(request.source_date_epoch),
        })
    }
}

impl From<Update> for UpdateImageRequest {
    fn from(update: Update) -> Self {
        Self {
            image: Some(update.image.into()),
            update_mask: wire_mask(update.mask),
            source_date_epoch: update.source_date.and_then(wire_time),
        }
    }
}

impl From<DeleteImageRequest> for Delete {
    fn from(request: DeleteImageRequest) -> Self {
        Self { name: request.name, sync: request.sync, target: request.target.map(Into::into) }
    }
}

impl From<Delete> for DeleteImageRequest {
    fn from(delete: Delete) -> Self {
        Self { name: delete.name, sync: delete.sync, target: delete.target.map(Into::into) }
    }
}
