//! Images: names for descriptors.

use crate::filters::{self, Fields};
use crate::{Error, Labels, Mask, Result, Scope, Timestamp, labels};
use async_trait::async_trait;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What an image's name points at. The digest is kept as text: a stored record is validated, a request may not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The media type of the manifest or index.
    pub media_type: String,
    /// Its digest.
    pub digest: String,
    /// Its size in bytes.
    pub size: i64,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
}

impl Target {
    /// The target's digest, checked.
    ///
    /// # Errors
    /// `InvalidArgument` when the text is no digest.
    pub fn parse_digest(&self) -> Result<oci::Digest> {
        oci::Digest::parse(&self.digest)
            .map_err(|e| Error::invalid(format!("target.Digest {:?} invalid: {e}", self.digest)))
    }
}

/// An image record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The name: free text, by convention a reference.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// The manifest or index.
    pub target: Target,
    /// When the record was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Image {
    /// Checks a record before it is written.
    ///
    /// # Errors
    /// `InvalidArgument` naming the field.
    pub fn validate(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::invalid("image name must not be empty"));
        }
        labels::validate("image.Labels", &self.labels)?;
        self.target.parse_digest()?;
        if self.target.size <= 0 {
            return Err(Error::invalid("target.Size must be greater than zero"));
        }
        if self.target.media_type.is_empty() {
            return Err(Error::invalid("target.MediaType must be set"));
        }
        Ok(())
    }
}

/// A request to change an image.
#[derive(Clone, Debug)]
pub struct Update {
    /// The new record.
    pub image: Image,
    /// Which fields to take from it.
    pub mask: Mask,
    /// The time to record instead of now.
    pub source_date: Option<Timestamp>,
}

/// A request to remove an image.
#[derive(Clone, Debug, Default)]
pub struct Delete {
    /// The name.
    pub name: String,
    /// Wait for the collector to have removed what only this image held.
    pub sync: bool,
    /// Remove it only while it has this target.
    pub target: Option<Target>,
}

/// The images service.
#[async_trait]
pub trait Images: Send + Sync {
    /// Errors: `NotFound`.
    async fn get(&self, scope: &Scope, name: &str) -> Result<Image>;
    /// The images that match any filter, in name order.
    async fn list(&self, scope: &Scope, filters: &[String]) -> Result<Vec<Image>>;
    /// Errors: `InvalidArgument`, `AlreadyExists`.
    async fn create(&self, scope: &Scope, image: Image, source_date: Option<Timestamp>) -> Result<Image>;
    /// Errors: `InvalidArgument`, `NotFound`.
    async fn update(&self, scope: &Scope, update: Update) -> Result<Image>;
    /// Errors: `NotFound`, also when the target is another one.
    async fn delete(&self, scope: &Scope, delete: Delete) -> Result<()>;
}

impl Fields for Image {
    fn field(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        match path {
            ["name", ..] => filters::text(&self.name),
            ["target", "digest", ..] => filters::text(&self.target.digest),
            ["target", "mediatype", ..] => filters::text(&self.target.media_type),
            ["labels", key @ ..] => filters::label(&self.labels, key),
            ["annotations", key @ ..] => filters::label(&self.target.annotations, key),
            _ => None,
        }
    }
}
