//! `gantry man`

use crate::Cli;
use anyhow::{Context as _, Result};
use clap::CommandFactory;
use std::fs;
use std::path::PathBuf;

/// Write the manual into a directory, one page for each command.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "gantry man /usr/local/share/man/man1, then `man gantry-run` or `man gantry-images-import`"
)]
pub struct Man {
    /// The directory; it is made if need be.
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<u8> {
        let directory = &self.directory;
        fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        clap_mangen::generate_to(Cli::command(), directory)
            .with_context(|| format!("write the manual into {}", directory.display()))?;
        Ok(0)
    }
}
