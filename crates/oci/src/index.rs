//! An image index: manifests for several platforms, or everything in a layout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::json::null_default;
use crate::manifest::{DocumentError, check_shape};

/// The file that marks a directory or archive as an OCI layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// The only layout version there is.
pub const LAYOUT_VERSION: &str = "1.0.0";
/// The name of a layout's index.
pub const INDEX_FILE: &str = "index.json";

/// An OCI index or Docker manifest list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    #[serde(default, deserialize_with = "null_default")]
    pub schema_version: i64,
    /// The document's own type; may be empty in OCI.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What kind of artifact this is.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// What it lists.
    #[serde(default, deserialize_with = "null_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest this one talks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free notes.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index that was announced as `media_type`, refusing documents of another shape.
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Index, DocumentError> {
        check_shape(bytes, media_type)?;
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The content of the `oci-layout` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutHeader {
    /// Must be [`LAYOUT_VERSION`].
    pub image_layout_version: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::{OCI_INDEX, OCI_MANIFEST};

    #[test]
    fn round_trip() {
        let index = Index {
            schema_version: 2,
            media_type: OCI_INDEX.into(),
            manifests: vec![Descriptor::of(OCI_MANIFEST, b"m")],
            ..Index::default()
        };
        let bytes = serde_json::to_vec(&index).unwrap();
        assert_eq!(Index::parse(&bytes, OCI_INDEX).unwrap(), index);
        assert!(Index::parse(b"{\"manifests\":null}", OCI_INDEX).unwrap().manifests.is_empty());
    }
}
