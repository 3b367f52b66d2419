//! An image manifest: one config and its layers; and what an image document points to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::descriptor::Descriptor;
use crate::digest::{Digest, Digester};
use crate::index::Index;
use crate::json::null_default;
use crate::media_type;

/// Why bytes are no manifest or index of the type they were called.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or a field has the wrong shape.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Docker schema 1.
    #[error("media-type: schema 1 not supported")]
    Schema1,
    /// Called a manifest, shaped like an index.
    #[error("media-type: expected manifest but found index ({0})")]
    FoundIndex(String),
    /// Called an index, shaped like a manifest.
    #[error("media-type: expected index but found manifest ({0})")]
    FoundManifest(String),
}

/// An OCI or Docker schema 2 image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    #[serde(default, deserialize_with = "null_default")]
    pub schema_version: i64,
    /// The document's own type; may be empty in OCI.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What kind of artifact this is.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// The config blob.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default, deserialize_with = "null_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest this one talks about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free notes.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest that was announced as `media_type`, refusing documents of another shape.
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Manifest, DocumentError> {
        check_shape(bytes, media_type)?;
        Ok(serde_json::from_slice(bytes)?)
    }
}

/// The parts of a document that tell what it really is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default, deserialize_with = "null_default")]
    media_type: String,
    #[serde(default)]
    fs_layers: Option<serde_json::Value>,
    #[serde(default)]
    manifests: Option<serde_json::Value>,
    #[serde(default)]
    config: Option<serde_json::Value>,
    #[serde(default)]
    layers: Option<serde_json::Value>,
}

/// Refuses a document that is something else than its announced type.
pub fn check_shape(bytes: &[u8], media_type: &str) -> Result<(), DocumentError> {
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        let error = serde::de::Error::custom("invalid document: expected a JSON object");
        return Err(DocumentError::Json(error));
    }
    let shape: Shape = serde_json::from_slice(bytes)?;
    if shape.fs_layers.is_some() {
        return Err(DocumentError::Schema1);
    }
    if media_type::is_manifest(media_type)
        && (shape.manifests.is_some() || media_type::is_index(&shape.media_type))
    {
        return Err(DocumentError::FoundIndex(media_type.to_string()));
    }
    if media_type::is_index(media_type)
        && (shape.config.is_some() || shape.layers.is_some() || media_type::is_manifest(&shape.media_type))
    {
        return Err(DocumentError::FoundManifest(media_type.to_string()));
    }
    Ok(())
}

/// What a document points to: config then layers, or manifests. Types without children have none.
pub fn children(media_type: &str, bytes: &[u8]) -> Result<Vec<Descriptor>, DocumentError> {
    if media_type::is_manifest(media_type) {
        let manifest = Manifest::parse(bytes, media_type)?;
        return Ok(std::iter::once(manifest.config).chain(manifest.layers).collect());
    }
    if media_type::is_index(media_type) {
        return Ok(Index::parse(bytes, media_type)?.manifests);
    }
    Ok(Vec::new())
}

/// Every label key that keeps content alive through another blob begins so.
pub const GC_CONTENT_PREFIX: &str = "containerd.io/gc.ref.content.";

/// The labels a parent blob gets so that the collector keeps its children: (key, child digest) in child order.
pub fn gc_labels(children: &[Descriptor]) -> Vec<(String, Digest)> {
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut labels = Vec::with_capacity(children.len());
    for child in children {
        let word = match child.media_type.as_str() {
            t if media_type::is_config(t) => "config",
            t if media_type::is_manifest(t) => "m.",
            t if media_type::is_layer(t) => "l.",
            _ => "",
        };
        let nth = seen.entry(word).or_default();
        let numbered = *nth > 0 || word != "config";
        let suffix = if numbered { nth.to_string() } else { String::new() };
        *nth += 1;
        labels.push((format!("{GC_CONTENT_PREFIX}{word}{suffix}"), child.digest.clone()));
    }
    labels
}

/// The label key by which a manifest keeps one that refers to it.
pub fn gc_referrer_label(referrer: &Digest) -> String {
    let short: String = referrer.hex().chars().take(12).collect();
    format!("{GC_CONTENT_PREFIX}referrer.{}.{short}", referrer.algorithm())
}

/// The chain ids of a list of diff ids: the n-th names the root file system after the n-th layer.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(parent) => {
                let mut digester = Digester::default();
                digester.update(parent.as_str().as_bytes());
                digester.update(b" ");
                digester.update(diff_id.as_str().as_bytes());
                digester.finish()
            }
        };
        chain.push(next);
    }
    chain
}

/// The chain id of the whole list; `None` for no layers.
pub fn chain_id(diff_ids: &[Digest]) -> Option<Digest> {
    chain_ids(diff_ids).pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::*;

    fn manifest() -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: OCI_MANIFEST.into(),
            artifact_type: String::new(),
            config: Descriptor::of(OCI_CONFIG, b"c"),
            layers: vec![Descriptor::of(OCI_LAYER_GZIP, b"1"), Descriptor::of(DOCKER_LAYER, b"2")],
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    #[test]
    fn round_trip_and_children() {
        let bytes = serde_json::to_vec(&manifest()).unwrap();
        assert_eq!(Manifest::parse(&bytes, OCI_MANIFEST).unwrap(), manifest());
        let below = children(OCI_MANIFEST, &bytes).unwrap();
        assert_eq!(below.len(), 3);
        assert!(children(OCI_LAYER, b"no json").unwrap().is_empty());
    }

    #[test]
    fn labels_count_per_kind() {
        let kids = [
            Descriptor::of(OCI_CONFIG, b"c"),
            Descriptor::of(OCI_LAYER, b"1"),
            Descriptor::of(OCI_LAYER_GZIP, b"2"),
            Descriptor::of("x/y", b"3"),
            Descriptor::of(OCI_INDEX, b"4"),
            Descriptor::of(OCI_MANIFEST, b"5"),
            Descriptor::of(DOCKER_CONFIG, b"6"),
        ];
        let keys: Vec<String> =
            gc_labels(&kids).into_iter().map(|(k, _)| k.replace(GC_CONTENT_PREFIX, "")).collect();
        assert_eq!(keys, ["config", "l.0", "l.1", "0", "1", "m.0", "config1"]);
        assert!(
            gc_referrer_label(&kids[0].digest).starts_with("containerd.io/gc.ref.content.referrer.sha256.")
        );
    }

    #[test]
    fn a_document_of_another_shape_is_refused() {
        for (json, announced, error) in [
            (r#"{"manifests":[]}"#, OCI_MANIFEST, "media-type: expected manifest but found index"),
            (r#"{"layers":[]}"#, OCI_INDEX, "media-type: expected index but found manifest"),
            (r#"{"config":{}}"#, DOCKER_MANIFEST_LIST, "media-type: expected index but found manifest"),
            (r#"{"fsLayers":[{}]}"#, DOCKER_MANIFEST, "media-type: schema 1 not supported"),
            (r#"[]"#, OCI_MANIFEST, "invalid"),
        ] {
            let got = check_shape(json.as_bytes(), announced).unwrap_err().to_string();
            assert!(got.contains(error), "{json}: {got}");
        }
    }

    #[test]
    fn chains() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(chain_id(&[]), None);
        assert_eq!(
            chain_ids(&[a.clone(), b.clone()]),
            [a.clone(), Digest::of(format!("{a} {b}").as_bytes())]
        );
    }
}
