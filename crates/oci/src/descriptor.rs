//! A descriptor: what a piece of content is, how big it is and how to check it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::json::null_default;
use crate::media_type;
use crate::platform::Platform;

/// Annotation: the tag (or full name) an entry of a layout's index has.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation: the full image name an entry of a layout's index has.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// Annotation: the digest of the manifest that an orphan referrer talks about.
pub const ANNOTATION_MANIFEST_SUBJECT: &str = "io.containerd.manifest.subject";

/// An OCI content descriptor. Fields are written in the specification's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    #[serde(default, deserialize_with = "null_default")]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    #[serde(default, deserialize_with = "null_default")]
    pub size: i64,
    /// Other places to fetch it from.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free notes.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, when small and inlined.
    #[serde(default, with = "crate::base64", skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<u8>,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact it is.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
}

impl Descriptor {
    /// A descriptor of these three; everything else is empty.
    pub fn new(media_type: impl Into<String>, digest: Digest, size_bytes: i64) -> Descriptor {
        Descriptor {
            media_type: media_type.into(),
            digest,
            size: size_bytes,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: Vec::new(),
            platform: None,
            artifact_type: String::new(),
        }
    }

    /// Describes these bytes with their sha256.
    pub fn of(media_type: impl Into<String>, bytes: &[u8]) -> Descriptor {
        Descriptor::new(media_type, Digest::of(bytes), bytes.len() as i64)
    }

    /// The ref under which this content is ingested: `layer-sha256:…`, with the ref name in front of the digest if
    /// the annotation is there.
    pub fn ref_key(&self) -> String {
        let word = media_type::ref_word(&self.media_type);
        match self.annotations.get(ANNOTATION_REF_NAME) {
            Some(name) => format!("{word}-{name}@{}", self.digest),
            None => format!("{word}-{}", self.digest),
        }
    }

    /// The inlined content, if it is there and is what the digest says.
    pub fn inline_data(&self) -> Option<&[u8]> {
        let fits = self.data.len() as i64 == self.size && !self.data.is_empty();
        (fits && self.digest.algorithm().digest(&self.data) == self.digest).then_some(&self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_specification_s_order_and_no_empty_fields() {
        let mut descriptor = Descriptor::of(media_type::OCI_EMPTY, b"{}");
        let short = serde_json::to_string(&descriptor).unwrap();
        assert_eq!(
            short,
            "{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\
             \"digest\":\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2}"
        );
        descriptor.data = b"{}".to_vec();
        descriptor.platform = Some(Platform::new("linux", "amd64", ""));
        let long = serde_json::to_string(&descriptor).unwrap();
        assert!(long.ends_with(
            ",\"size\":2,\"data\":\"e30=\",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}}"
        ));
        assert_eq!(serde_json::from_str::<Descriptor>(&long).unwrap(), descriptor);
        assert_eq!(descriptor.inline_data(), Some(&b"{}"[..]));
        descriptor.data = b"[]".to_vec();
        assert_eq!(descriptor.inline_data(), None);
    }

    #[test]
    fn nulls_and_missing_fields_are_empty() {
        let digest = Digest::of(b"");
        let json =
            format!("{{\"digest\":\"{digest}\",\"annotations\":null,\"urls\":null,\"mediaType\":null}}");
        let descriptor: Descriptor = serde_json::from_str(&json).unwrap();
        assert_eq!(descriptor, Descriptor::new("", digest, 0));
    }

    #[test]
    fn ref_keys() {
        let mut descriptor = Descriptor::of(media_type::OCI_LAYER_GZIP, b"x");
        assert_eq!(descriptor.ref_key(), format!("layer-{}", descriptor.digest));
        descriptor.annotations.insert(ANNOTATION_REF_NAME.into(), "v1".into());
        assert_eq!(descriptor.ref_key(), format!("layer-v1@{}", descriptor.digest));
    }
}
