//! Create: makes a container up to the point where its program would start.

use std::path::Path;

use crate::{Console, Error, Flags, Result};

/// Makes a container from a bundle.
#[derive(Debug)]
pub struct Create<'a> {
    /// Directory of all containers' states, for instance `/run/containerd/runc/<namespace>`.
    pub root: &'a Path,
    /// Name of the container.
    pub id: &'a str,
    /// Directory with `config.json`.
    pub bundle: &'a Path,
    /// Where the terminal's master goes.
    pub console: Console,
    /// File that receives the first process's id.
    pub pid_file: Option<&'a Path>,
    /// Seldom used settings.
    pub flags: Flags,
}

impl Create<'_> {
    /// Creates the container and returns the id of its first process. On failure nothing of it is left.
    pub fn run(self) -> Result<i32> {
        Err(Error::unknown(format!("create {}: not yet", self.id)))
    }
}
