//! What image archives are made of, and the names of images in them.
//!
//! Two kinds: an OCI layout (`oci-layout`, `index.json`, `blobs/`) and Docker's (`manifest.json`). One archive can be both.

use std::collections::BTreeMap;

use oci::descriptor::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME};
use oci::{Digest, Reference};
use serde::{Deserialize, Deserializer, Serialize};

/// The name of Docker's list of images.
pub const DOCKER_FILE: &str = "manifest.json";
/// The longest JSON document we read for an archive, in bytes.
pub const LONGEST_DOCUMENT: u64 = 20 << 20;

/// One image of Docker's `manifest.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// The config's path in the archive.
    #[serde(default)]
    pub config: String,
    /// Familiar names; `null` for none.
    #[serde(default, deserialize_with = "nullable")]
    pub repo_tags: Option<Vec<String>>,
    /// The layers' paths in the archive, lowest first.
    #[serde(default, deserialize_with = "null_default")]
    pub layers: Vec<String>,
}

fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    Option::deserialize(deserializer)
}

fn null_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Where a blob lies in an archive.
pub fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The annotations that give an entry of `index.json` a name.
pub fn name_annotations(name: &str) -> BTreeMap<String, String> {
    let object = Reference::parse(name).map_or_else(|_| name.to_owned(), |reference| reference.object);
    BTreeMap::from([(ANNOTATION_IMAGE_NAME.into(), name.into()), (ANNOTATION_REF_NAME.into(), object)])
}

/// What becomes of names in an archive that are more than a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullNames {
    /// They are taken.
    Keep,
    /// They are taken if they begin with the given name.
    Filter,
}

/// The name an entry of `index.json` gets in the image store: its full name if it says it, else its ref name completed by
/// `prefix`. `None`: it gets no name; so it is without a prefix, and with a full name that is none.
pub fn image_name(annotations: &BTreeMap<String, String>, prefix: &str, full: FullNames) -> Option<String> {
    let name = annotations.get(ANNOTATION_IMAGE_NAME).filter(|name| !name.is_empty());
    if let Some(name) = name {
        return translate(name, prefix, full).filter(|translated| translated == name);
    }
    let name = annotations.get(ANNOTATION_REF_NAME).filter(|name| !name.is_empty())?;
    translate(name, prefix, full)
}

/// A ref name completed by `prefix`: a bare tag is put behind it, a full name stays.
pub fn translate(name: &str, prefix: &str, full: FullNames) -> Option<String> {
    if prefix.is_empty() {
        return None;
    }
    if name.contains(['/', ':', '@']) {
        return (full == FullNames::Keep || has_prefix(name, prefix)).then(|| name.to_owned());
    }
    Some(format!("{prefix}:{name}"))
}

/// The further name `<prefix>@<digest>`.
pub fn digest_name(prefix: &str, digest: &Digest) -> String {
    format!("{prefix}@{digest}")
}

/// Whether a name is `prefix` itself or begins with it and a separator.
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_translated() {
        for (name, prefix, full, want) in [
            ("v1", "h/a", FullNames::Keep, Some("h/a:v1")),
            ("v1", "", FullNames::Keep, None),
            ("h/b:v1", "h/a", FullNames::Keep, Some("h/b:v1")),
            ("h/b:v1", "h/a", FullNames::Filter, None),
            ("h/a:v1", "h/a", FullNames::Filter, Some("h/a:v1")),
            ("h/ab:v1", "h/a", FullNames::Filter, None),
            ("h/a/b:v1", "h/a", FullNames::Filter, Some("h/a/b:v1")),
        ] {
            assert_eq!(translate(name, prefix, full).as_deref(), want, "{name} {prefix}");
        }
    }

    #[test]
    fn the_full_name_comes_first() {
        let annotations = name_annotations("h/a:v1");
        assert_eq!(annotations[ANNOTATION_REF_NAME], "v1");
        for (prefix, full, want) in [
            ("", FullNames::Keep, None),
            ("x", FullNames::Keep, Some("h/a:v1")),
            ("x", FullNames::Filter, None),
            ("h", FullNames::Filter, Some("h/a:v1")),
        ] {
            assert_eq!(image_name(&annotations, prefix, full).as_deref(), want, "{prefix}");
        }
        let tag = BTreeMap::from([(ANNOTATION_IMAGE_NAME.to_string(), "v2".to_string())]);
        assert_eq!(image_name(&tag, "h/a", FullNames::Keep), None);
        let bare = BTreeMap::from([(ANNOTATION_REF_NAME.to_string(), "v2".to_string())]);
        assert_eq!(image_name(&bare, "h/a", FullNames::Keep).as_deref(), Some("h/a:v2"));
        assert_eq!(image_name(&BTreeMap::new(), "h/a", FullNames::Keep), None);
    }

    #[test]
    fn docker_s_list_is_read_with_nulls() {
        let list: Vec<DockerImage> =
            serde_json::from_str(r#"[{"Config":"c","RepoTags":null,"Layers":null,"Parent":"x"}]"#).unwrap();
        assert_eq!(list, [DockerImage { config: "c".into(), ..DockerImage::default() }]);
        assert_eq!(serde_json::to_string(&list).unwrap(), r#"[{"Config":"c","RepoTags":null,"Layers":[]}]"#);
    }
}
