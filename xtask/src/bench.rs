//! `cargo xtask bench`: everything built, then the measurements of `bench/`.

use std::process::Command;

use anyhow::Result;

use crate::build::{self, Profile};
use crate::workspace::{cargo, root};
use crate::{compat, packages, run};

/// Builds in release mode, builds the reference, measures. `flags` go to the bench program.
pub fn run(flags: &[&str]) -> Result<()> {
    packages::install()?;
    compat::run()?;
    let dist = build::run(Profile::Release)?;
    let mut command = Command::new(cargo());
    command.args(["run", "--quiet", "--locked", "-p", "bench", "--"]).args(flags);
    run::run(command.env("GANTRY_DIST", dist).current_dir(root()))
}
