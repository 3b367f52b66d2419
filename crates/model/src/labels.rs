//! Labels: the key-value pairs that clients hang on every object.

use crate::{Error, Result};
use std::collections::BTreeMap;

/// Labels in key order.
pub type Labels = BTreeMap<String, String>;

/// The largest sum of a key's and its value's length, in bytes.
const MAX_SIZE: usize = 4096;
/// How much of a refused key an error shows, in bytes.
const SHOWN: usize = 64;

/// Checks the size of every label; `prefix` names the field in the error (`namespace.Labels`).
///
/// # Errors
/// `InvalidArgument` for a key and value of more than 4096 bytes together.
pub fn validate(prefix: &str, labels: &Labels) -> Result<()> {
    for (key, value) in labels {
        let size = key.len() + value.len();
        if size > MAX_SIZE {
            let shown = &key[..key.floor_char_boundary(SHOWN)];
            return Err(Error::invalid(format!(
                "{prefix}: label key and value length ({size} bytes) greater than maximum size ({MAX_SIZE} bytes), key: {shown}"
            )));
        }
    }
    Ok(())
}

/// Drops the labels with an empty value: writing one removes it.
pub fn without_empty(labels: &Labels) -> Labels {
    labels.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// Whether a key may not be copied from an image to another object.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with("containerd.io/") || key.starts_with("io.cri-containerd")
}

/// The prefix of every label the collector reads.
pub const GC: &str = "containerd.io/gc.";
/// After this RFC 3339 time an image or a lease is no root any more.
pub const GC_EXPIRE: &str = "containerd.io/gc.expire";
/// A lease with this label protects only what it lists.
pub const GC_FLAT: &str = "containerd.io/gc.flat";
/// A blob or snapshot whose label key begins so is a root.
pub const GC_ROOT: &str = "containerd.io/gc.root";
/// A reference to a blob.
pub const GC_REF_CONTENT: &str = "containerd.io/gc.ref.content";
/// A reference to a snapshot; the snapshotter's name follows.
pub const GC_REF_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.";
/// On a compressed layer: the digest of the same layer without compression.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// On a snapshot: the committed name it is meant to become.
pub const SNAPSHOT_REF: &str = "containerd.io/snapshot.ref";
/// The prefix of labels that reach the snapshot driver.
pub const SNAPSHOT: &str = "containerd.io/snapshot/";
