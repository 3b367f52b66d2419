//! Levels and rooms: a crate depends only on lower levels, and some libraries belong to some rooms only.
//!
//! `testing/`, `bench` and `xtask` may depend on anything; nothing but they may depend on them, except for tests.

use crate::workspace::{Crate, Metadata};

/// Libraries that a room must not have, and why.
struct Ban {
    rooms: &'static [&'static str],
    libraries: &'static [&'static str],
    reason: &'static str,
}

/// The name of the room that all plugins are.
const PLUGINS: &str = "plugins";
const PURE: &[&str] = &["oci", "model", "spec"];
const SYNC: &[&str] =
    &["oci", "model", "spec", "kernel", "archive", "store", "content", "runtime", "shimkit", PLUGINS];
const ASYNC_LIBRARIES: &[&str] =
    &["tokio", "tokio-stream", "tonic", "hyper", "hyper-util", "tower", "futures-util"];

const BANS: [Ban; 4] = [
    Ban { rooms: PURE, libraries: &["libc", "rustix", "tempfile"], reason: "the room is pure: memory only" },
    Ban { rooms: SYNC, libraries: ASYNC_LIBRARIES, reason: "the room is synchronous" },
    Ban {
        rooms: &["engine"],
        libraries: &["prost", "tonic", "hyper"],
        reason: "the engine knows no protobuf, no sockets",
    },
    Ban { rooms: &["model"], libraries: &["prost", "prost-types"], reason: "the model knows no wire" },
];

/// Findings: no level, a dependency that is not lower, a library in the wrong room.
pub fn check(metadata: &Metadata) -> Vec<String> {
    let mut findings = Vec::new();
    for owner in &metadata.crates {
        let Some(level) = owner.level else {
            findings.push(format!("{}: no `[package.metadata] level`", owner.dir.display()));
            continue;
        };
        if is_exempt(owner) {
            continue;
        }
        for dependency in &owner.dependencies {
            let target = metadata.crates.iter().find(|c| dependency.ours && c.name == dependency.name);
            match target {
                Some(target) if !may_depend(owner, level, target, dependency.dev) => findings.push(format!(
                    "{}: level {level} may not depend on {} (level {})",
                    owner.dir.display(),
                    target.name,
                    target.level.unwrap_or_default()
                )),
                None if !dependency.dev => findings.extend(banned(owner, &dependency.name)),
                _ => {}
            }
        }
    }
    findings
}

fn may_depend(owner: &Crate, level: i64, target: &Crate, dev: bool) -> bool {
    // A crate's tests may see the crate itself, with other features.
    if is_exempt(target) || target.name == owner.name {
        return dev;
    }
    let plugin_sees_engine = owner.dir.starts_with("plugins") && target.name == "engine";
    !plugin_sees_engine && target.level.is_some_and(|t| t < level)
}

fn is_exempt(owner: &Crate) -> bool {
    ["testing", "bench", "xtask"].iter().any(|dir| owner.dir.starts_with(dir))
}

fn banned(owner: &Crate, library: &str) -> Option<String> {
    let room = if owner.dir.starts_with("plugins") { PLUGINS } else { owner.name.as_str() };
    let here = |ban: &&Ban| ban.rooms.contains(&room);
    let ban = BANS.iter().filter(here).find(|b| b.libraries.contains(&library))?;
    Some(format!("{}: may not use {library}: {}", owner.dir.display(), ban.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Dependency;

    fn a_crate(dir: &str, level: i64, dependencies: &[(&str, bool)]) -> Crate {
        let dependency =
            |(name, dev): &(&str, bool)| Dependency { name: (*name).to_owned(), dev: *dev, ours: true };
        Crate {
            name: dir.rsplit('/').next().unwrap_or(dir).to_owned(),
            dir: dir.into(),
            manifest: toml::Table::new(),
            level: Some(level),
            dependencies: dependencies.iter().map(dependency).collect(),
        }
    }

    #[test]
    fn only_downwards() {
        let low = || a_crate("crates/oci", 0, &[]);
        let engine = || a_crate("crates/engine", 3, &[("oci", false)]);
        let suite = || a_crate("testing/conformance", 2, &[("engine", false)]);
        let table = [
            (a_crate("crates/grpc", 4, &[("engine", false), ("oci", false)]), 0),
            (a_crate("crates/shims", 3, &[("engine", false)]), 1),
            (a_crate("crates/kernel", 0, &[("oci", false)]), 1),
            (a_crate("plugins/p", 4, &[("engine", false)]), 1),
            (a_crate("plugins/p", 3, &[("conformance", true)]), 0),
            (a_crate("plugins/p", 3, &[("conformance", false)]), 1),
            (a_crate("xtask", 0, &[("engine", false)]), 0),
        ];
        for (number, (owner, wanted)) in table.into_iter().enumerate() {
            let metadata = Metadata { crates: vec![low(), engine(), suite(), owner], packages: Vec::new() };
            let findings = check(&metadata);
            assert_eq!(findings.len(), wanted, "row {number}: {findings:?}");
        }
    }

    #[test]
    fn libraries_have_rooms() {
        let tokio = |dir: &str| {
            let mut owner = a_crate(dir, 2, &[]);
            owner.dependencies.push(Dependency { name: "tokio".to_owned(), dev: false, ours: false });
            owner
        };
        for (dir, wanted) in
            [("crates/store", 1), ("plugins/snapshot_x", 1), ("crates/registry", 0), ("crates/model", 1)]
        {
            let metadata = Metadata { crates: vec![tokio(dir)], packages: Vec::new() };
            assert_eq!(check(&metadata).len(), wanted, "{dir}");
        }
    }
}
