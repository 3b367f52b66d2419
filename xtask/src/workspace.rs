//! The workspace as the commands see it: its root, its files, its crates and their metadata.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The root of the workspace.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_path_buf(), Path::to_path_buf)
}

/// The target directory.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The cargo that runs us.
pub fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Every file that git tracks or would add, relative to the root, sorted.
pub fn files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).context("file names are not UTF-8")?;
    let root = root();
    let mut files: Vec<PathBuf> = text.split('\0').filter(|n| !n.is_empty()).map(PathBuf::from).collect();
    files.retain(|f| root.join(f).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// One crate of the workspace.
#[derive(Debug)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its folder, relative to the root.
    pub dir: PathBuf,
    /// Its manifest.
    pub manifest: toml::Table,
    /// `[package.metadata] level`.
    pub level: Option<i64>,
    /// Names of the workspace crates and libraries it depends on, with the kind: `normal`, `dev` or `build`.
    pub dependencies: Vec<Dependency>,
}

/// One dependency of a crate.
#[derive(Debug)]
pub struct Dependency {
    /// Package name.
    pub name: String,
    /// Whether only tests see it.
    pub dev: bool,
    /// Whether it lies in the workspace.
    pub ours: bool,
}

/// One package of the whole dependency graph.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression.
    pub licence: Option<String>,
    /// Whether it lies in the workspace.
    pub ours: bool,
}

/// What `cargo metadata` says.
#[derive(Debug)]
pub struct Metadata {
    /// The crates of the workspace.
    pub crates: Vec<Crate>,
    /// All packages, ours and others.
    pub packages: Vec<Package>,
}

/// Reads `cargo metadata`.
pub fn metadata() -> Result<Metadata> {
    let output = Command::new(cargo())
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .context("cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let value: Value = serde_json::from_slice(&output.stdout).context("cargo metadata's JSON")?;
    let mut metadata = Metadata { crates: Vec::new(), packages: Vec::new() };
    for package in value["packages"].as_array().into_iter().flatten() {
        let ours = package["source"].is_null();
        metadata.packages.push(Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: package["license"].as_str().map(str::to_owned),
            ours,
        });
        if ours {
            metadata.crates.push(crate_of(package)?);
        }
    }
    metadata.crates.sort_by(|a, b| a.dir.cmp(&b.dir));
    Ok(metadata)
}

fn crate_of(package: &Value) -> Result<Crate> {
    let path = PathBuf::from(text(&package["manifest_path"]));
    let manifest = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let dir = path.parent().context("a manifest has a folder")?;
    let dependencies = package["dependencies"].as_array().into_iter().flatten().map(|d| Dependency {
        name: text(&d["name"]),
        dev: d["kind"].as_str() == Some("dev"),
        ours: d["source"].is_null(),
    });
    Ok(Crate {
        name: text(&package["name"]),
        dir: dir.strip_prefix(root()).unwrap_or(dir).to_path_buf(),
        manifest: manifest.parse().with_context(|| format!("parse {}", path.display()))?,
        level: package["metadata"]["level"].as_i64(),
        dependencies: dependencies.collect(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
