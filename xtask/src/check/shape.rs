//! Crates: folder name = crate name, versions only at the root, and the shape of a plugin's folder.

use std::path::{Path, PathBuf};

use crate::workspace::{Crate, Metadata};

/// What every plugin's folder holds.
const PLUGIN: [&str; 3] = ["src/lib.rs", "README.md", "tests/suite.rs"];
/// What a snapshot driver's folder holds besides.
const DRIVER: [&str; 2] = ["src/probe.rs", "src/driver.rs"];

/// Findings of all three rules.
pub fn check(metadata: &Metadata, files: &[PathBuf]) -> Vec<String> {
    let mut findings = Vec::new();
    for owner in &metadata.crates {
        let folder = owner.dir.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if folder != owner.name {
            findings.push(format!("{}: the crate is called {}", owner.dir.display(), owner.name));
        }
        findings.extend(own_versions(owner));
        if owner.dir.starts_with("plugins") {
            findings.extend(missing_files(owner, files));
        }
    }
    findings
}

fn own_versions(owner: &Crate) -> Vec<String> {
    let inherits = |value: &toml::Value| value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    let mut findings = Vec::new();
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (name, value) in owner.manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten()
        {
            let plugin = owner.dir.starts_with("bin") && is_plugin(value);
            if !plugin && !inherits(value) {
                findings.push(format!("{}: {name} does not say `workspace = true`", owner.dir.display()));
            }
        }
    }
    let package = owner.manifest.get("package").and_then(toml::Value::as_table);
    for key in ["version", "edition", "license"] {
        if !package.and_then(|p| p.get(key)).is_some_and(inherits) {
            findings.push(format!("{}: {key} does not come from the workspace", owner.dir.display()));
        }
    }
    if !owner.manifest.get("lints").is_some_and(inherits) {
        findings.push(format!("{}: lints do not come from the workspace", owner.dir.display()));
    }
    findings
}

/// A plugin is named by its folder where it is built in, and nowhere else.
fn is_plugin(value: &toml::Value) -> bool {
    let path = value.get("path").and_then(toml::Value::as_str);
    path.is_some_and(|path| path.starts_with("../../plugins/")) && value.get("version").is_none()
}

fn missing_files(owner: &Crate, files: &[PathBuf]) -> Vec<String> {
    let driver = if owner.name.starts_with("snapshot_") { &DRIVER[..] } else { &[] };
    let has = |name: &str| files.iter().any(|f| f.as_path() == owner.dir.join(Path::new(name)));
    let missing = PLUGIN.iter().chain(driver).filter(|name| !has(name));
    missing.map(|name| format!("{}: a plugin's folder holds {name}", owner.dir.display())).collect()
}
