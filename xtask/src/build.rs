//! `cargo xtask build`: the programs as they are installed, side by side in one folder.
//!
//! The daemon and the client are dynamic; the shim is static and built by a cargo run of its own, so that no
//! other crate's features leak into it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::run::run as run_command;
use crate::workspace::{cargo, root, target};

/// How to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As shipped: small and fast, slow to build.
    Release,
    /// For tests: quick to build.
    Debug,
}

/// The names under which the shim's program is also known.
const SHIM_NAMES: [&str; 2] = ["containerd-shim-runc-v2", "gantry-oci"];

impl Profile {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release"],
            Self::Debug => &[],
        }
    }

    /// The shim's own, where it has one.
    fn shim_flags(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--profile", "shim"],
            Self::Debug => &[],
        }
    }

    fn shim_folder(self) -> &'static str {
        match self {
            Self::Release => "shim",
            Self::Debug => "debug",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }

    /// Where the programs go.
    pub fn dist(self) -> PathBuf {
        target().join(match self {
            Self::Release => "dist",
            Self::Debug => "dist-debug",
        })
    }
}

/// Builds everything and answers the folder.
pub fn run(profile: Profile) -> Result<PathBuf> {
    build_dynamic(profile)?;
    build_shim(profile)?;
    let dist = profile.dist();
    fs::create_dir_all(&dist).with_context(|| format!("create {}", dist.display()))?;
    let built = target().join(profile.folder());
    install(&built.join("gantryd"), &dist.join("gantryd"))?;
    install(&built.join("gantry"), &dist.join("gantry"))?;
    install(
        &target().join(triple()).join(profile.shim_folder()).join("gantry-shim"),
        &dist.join("gantry-shim"),
    )?;
    for name in SHIM_NAMES {
        let link = dist.join(name);
        let _ = fs::remove_file(&link);
        symlink("gantry-shim", &link).with_context(|| format!("link {}", link.display()))?;
    }
    build_hello(&dist.join("hello"))?;
    Ok(dist)
}

/// In a debug build the whole workspace is built, so that `cargo test --workspace` finds the same artifacts.
fn build_dynamic(profile: Profile) -> Result<()> {
    let mut command = Command::new(cargo());
    command.arg("build").args(profile.flags()).arg("--locked").current_dir(root());
    match profile {
        Profile::Release => command.args(["-p", "gantryd", "-p", "gantry"]),
        Profile::Debug => command.args(["--workspace", "--all-targets"]),
    };
    run_command(&mut command)
}

fn build_shim(profile: Profile) -> Result<()> {
    let mut command = Command::new(cargo());
    command.arg("build").args(profile.shim_flags()).args([
        "--locked",
        "-p",
        "gantry-shim",
        "--target",
        &triple(),
    ]);
    run_command(command.env("RUSTFLAGS", "-C target-feature=+crt-static").current_dir(root()))
}

/// The program in the demo's image: one file and the standard library, so the compiler alone will do.
fn build_hello(out: &Path) -> Result<()> {
    let mut command = Command::new("rustc");
    command.args(["--edition", "2024", "-O", "-C", "strip=symbols", "-C", "target-feature=+crt-static"]);
    command.args(["--target", &triple(), "-o"]).arg(out).arg("testing/e2e/src/bin/hello.rs");
    run_command(command.current_dir(root()))
}

fn install(from: &Path, to: &Path) -> Result<()> {
    // A running program cannot be written to, but it can be replaced.
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).with_context(|| format!("copy {} to {}", from.display(), fresh.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("rename to {}", to.display()))
}

/// The target triple of this machine, with glibc, which the toolchain brings.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}
