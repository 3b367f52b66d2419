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

const PURE: &[&str] = &["oci", "model", "spec"];
const SYNC: &[&str] =
    &["oci", "model", "spec", "kernel", "archive", "store", "content", "runtime", "shimkit"];
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
    let plugin = owner.dir.starts_with("plugins");
    let here =
        |ban: &&Ban| ban.rooms.contains(&owner.name.as_str()) || (plugin && std::ptr::eq(ban.rooms, SYNC));
    let ban = BANS.iter().filter(here).find(|b| b.libraries.contains(&library))?;
    Some(format!("{}: may not use {library}: {}", owner.dir.display(), ban.reason))
}
