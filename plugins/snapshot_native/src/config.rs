//! What can be configured.

use std::path::PathBuf;

/// Where the copies lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The driver's directory; made if it is not there.
    pub root: PathBuf,
}

impl From<PathBuf> for Config {
    fn from(root: PathBuf) -> Self {
        Self { root }
    }
}
