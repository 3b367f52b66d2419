//! What can be configured.

/// How overlay mounts are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Options for every overlay mount.
    pub mount_options: Vec<String>,
}
