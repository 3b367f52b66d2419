//! What can be configured.

use serde::{Deserialize, Serialize};

/// How overlay mounts are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Tell where a snapshot's own files lie in a label.
    pub upperdir_label: bool,
    /// Options for every overlay mount.
    pub mount_options: Vec<String>,
}
