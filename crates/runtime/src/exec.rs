//! Exec: starts one more process in a running container.

use std::path::Path;

use oci::runtime::Process;

use crate::{Console, Error, Flags, Result};

/// Starts one more process in a container.
#[derive(Debug)]
pub struct Exec<'a> {
    /// Directory of all containers' states.
    pub root: &'a Path,
    /// Name of the container.
    pub id: &'a str,
    /// What to run.
    pub process: &'a Process,
    /// Where the terminal's master goes.
    pub console: Console,
    /// File that receives the process id.
    pub pid_file: Option<&'a Path>,
    /// Seldom used settings.
    pub flags: Flags,
}

impl Exec<'_> {
    /// Starts the process and returns its id.
    pub fn run(self) -> Result<i32> {
        Err(Error::unknown(format!("exec {}: not yet", self.id)))
    }
}
