//! Reading configuration files: imports, older versions, unknown keys.

use super::{Config, VERSION};
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// A configuration, and what a person should know about how it was read.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings for the log.
    pub warnings: Vec<String>,
}

/// Reads a file and what it imports; a missing file gives the defaults unless `required`.
///
/// # Errors
/// An unreadable file, a TOML mistake, a wrong type, or a version that is too new; each names the file.
pub fn load(path: &Path, presence: Presence) -> Result<Loaded> {
    let mut merged = Table::new();
    let mut warnings = Vec::new();
    let mut queue = VecDeque::from([path.to_owned()]);
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut root_version = None;
    while let Some(file) = queue.pop_front() {
        if seen.contains(&file) {
            continue;
        }
        seen.push(file.clone());
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(e)
                if e.kind() == std::io::ErrorKind::NotFound
                    && presence == Presence::Optional
                    && seen.len() == 1 =>
            {
                break;
            }
            Err(e) => return Err(e).with_context(|| format!("read configuration {}", file.display())),
        };
        let mut table: Table =
            toml::from_str(&text).with_context(|| format!("parse configuration {}", file.display()))?;
        let version = check_version(&table, &file, &mut root_version)?;
        if version < VERSION {
            warnings.push(format!(
                "configuration {} has version {version}; it is read as version {VERSION}",
                file.display()
            ));
            migrate(&mut table);
        }
        queue.extend(imports(&table, &file)?);
        merge(&mut merged, table);
    }
    let defaults = Table::try_from(Config::default()).context("encode the default configuration")?;
    unknown(&merged, &defaults, "", &mut warnings);
    // A file names some of them.
    if let (Some(Value::Table(all)), Some(Value::Table(some))) =
        (defaults.get("timeouts"), merged.get_mut("timeouts"))
    {
        all.iter().for_each(|(key, value)| {
            some.entry(key).or_insert_with(|| value.clone());
        });
    }
    merged.insert("version".into(), Value::Integer(VERSION));
    let config: Config =
        Value::Table(merged).try_into().with_context(|| format!("configuration {}", path.display()))?;
    Ok(Loaded { config, warnings })
}

/// Whether the file must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It was named on the command line.
    Required,
    /// It is the default one.
    Optional,
}

fn check_version(table: &Table, file: &Path, root: &mut Option<i64>) -> Result<i64> {
    let version = match table.get("version") {
        None => 1,
        Some(Value::Integer(n)) => *n,
        Some(other) => bail!("{}: version = {other} is not a number", file.display()),
    };
    if version > VERSION {
        bail!(
            "{}: expected containerd config version equal to or less than `{VERSION}`, got `{version}`",
            file.display()
        );
    }
    root.get_or_insert(version);
    Ok(version)
}

/// Lifts the sections of versions 1 to 3 to where version 4 has them.
fn migrate(table: &mut Table) {
    let mut plugins = match table.remove("plugins") {
        Some(Value::Table(t)) => t,
        _ => Table::new(),
    };
    for (short, long) in [
        ("scheduler", "io.containerd.gc.v1.scheduler"),
        ("bolt", "io.containerd.metadata.v1.bolt"),
        ("native", "io.containerd.snapshotter.v1.native"),
        ("overlayfs", "io.containerd.snapshotter.v1.overlayfs"),
        ("diff-service", "io.containerd.service.v1.diff-service"),
    ] {
        if let Some(section) = plugins.remove(short) {
            plugins.entry(long).or_insert(section);
        }
    }
    for (section, plugin) in
        [("grpc", "io.containerd.server.v1.grpc"), ("ttrpc", "io.containerd.server.v1.ttrpc")]
    {
        if let Some(Value::Table(old)) = table.remove(section) {
            let new = plugins.entry(plugin).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(new) = new {
                for (key, value) in old {
                    new.entry(key).or_insert(value);
                }
            }
        }
    }
    table.insert("plugins".into(), Value::Table(plugins));
}

/// The files a file imports, in name order; a pattern may have one `*` in its last component.
fn imports(table: &Table, file: &Path) -> Result<Vec<PathBuf>> {
    let Some(Value::Array(patterns)) = table.get("imports") else { return Ok(Vec::new()) };
    let base = file.parent().unwrap_or(Path::new("/"));
    let mut found = Vec::new();
    for pattern in patterns.iter().filter_map(Value::as_str) {
        let path = base.join(pattern);
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let Some((prefix, suffix)) = name.split_once('*') else {
            found.push(path);
            continue;
        };
        let dir = path.parent().unwrap_or(Path::new("/"));
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e).with_context(|| format!("read imports {}", dir.display())),
        };
        let mut names: Vec<_> = entries.filter_map(|e| e.ok()).map(|e| e.file_name()).collect();
        names.sort();
        let matches =
            |n: &str| n.len() >= prefix.len() + suffix.len() && n.starts_with(prefix) && n.ends_with(suffix);
        found.extend(names.iter().filter(|n| n.to_str().is_some_and(matches)).map(|n| dir.join(n)));
    }
    Ok(found)
}

/// Lays `over` upon `base`: tables key by key, arrays by adding what is missing, all else replaced.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) if key != "timeouts" => merge(old, new),
            (Some(Value::Table(old)), Value::Table(new)) => old.extend(new),
            (Some(Value::Array(old)), Value::Array(new)) => {
                old.extend(new.into_iter().filter(|v| !old.contains(v)).collect::<Vec<_>>());
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Names the keys that this daemon does not know.
fn unknown(table: &Table, known: &Table, path: &str, warnings: &mut Vec<String>) {
    for (key, value) in table {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{}", quoted(key)) };
        match (value, known.get(key)) {
            (Value::Table(inner), Some(Value::Table(known))) => unknown(inner, known, &full, warnings),
            (_, Some(_)) => {}
            (_, None) => warnings.push(format!("Ignoring unknown key in TOML: {full}")),
        }
    }
}

fn quoted(key: &str) -> String {
    if key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        key.into()
    } else {
        format!("\"{key}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Loaded> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text)?;
        load(&path, Presence::Required)
    }

    #[test]
    fn reads_every_version() {
        let v2 = "version = 2\n[grpc]\naddress = \"/x.sock\"\n[plugins.\"io.containerd.gc.v1.scheduler\"]\npause_threshold = 0.5\n";
        let c = read(v2).expect("version 2").config;
        assert_eq!((c.plugins.grpc.address.as_str(), c.plugins.gc.pause_threshold), ("/x.sock", 0.5));
        assert_eq!(c.ttrpc_address(), "/x.sock.ttrpc");
        let v4 = "version = 4\n[plugins.'io.containerd.server.v1.grpc']\naddress = '/y.sock'\n";
        assert_eq!(read(v4).expect("version 4").config.plugins.grpc.address, "/y.sock");
        let error = read("version = 5").expect_err("version 5").to_string();
        assert!(error.contains("equal to or less than `4`, got `5`"), "{error}");
    }

    #[test]
    fn names_unknown_keys() {
        let text = "version = 4\nrots = '/x'\n[plugins.'io.containerd.cri.v1.runtime']\nx = 1\n[timeouts]\n'io.containerd.timeout.shim.load' = '7s'\n";
        let loaded = read(text).expect("loads");
        assert_eq!(
            loaded.warnings,
            [
                "Ignoring unknown key in TOML: plugins.\"io.containerd.cri.v1.runtime\"",
                "Ignoring unknown key in TOML: rots"
            ]
        );
        assert_eq!(loaded.config.timeout("shim.load").expect("duration").as_secs(), 7);
    }

    #[test]
    fn one_timeout_leaves_the_others() {
        let text = "version = 4\n[timeouts]\n'io.containerd.timeout.shim.load' = '7s'\n'io.containerd.timeout.bolt.open' = '1s'\n";
        let loaded = read(text).expect("loads");
        let secs = |name| loaded.config.timeout(name).expect("duration").as_secs();
        let all = ["shim.load", "shim.cleanup", "shim.shutdown", "task.state", "metrics.shimstats"].map(secs);
        assert_eq!(all, [7, 5, 3, 2, 2]);
        let ignored = "Ignoring unknown key in TOML: timeouts.\"io.containerd.timeout.bolt.open\"";
        assert_eq!(loaded.warnings, [ignored]);
    }

    #[test]
    fn keys_that_nothing_obeys_are_named() {
        let text = "version = 4\ntemp = '/t'\n[plugins.'io.containerd.snapshotter.v1.overlayfs']\nroot_path = '/o'\nsync_remove = true\nmount_options = ['index=off']\n[plugins.'io.containerd.transfer.v1.local']\nmax_concurrent_unpacks = 4\n";
        let loaded = read(text).expect("loads");
        let keys = [
            "plugins.\"io.containerd.snapshotter.v1.overlayfs\".sync_remove",
            "plugins.\"io.containerd.transfer.v1.local\".max_concurrent_unpacks",
            "temp",
        ];
        assert_eq!(loaded.warnings, keys.map(|key| format!("Ignoring unknown key in TOML: {key}")));
        let overlayfs = loaded.config.plugins.snapshots.overlayfs;
        assert_eq!(
            (overlayfs.root_path.as_str(), &overlayfs.own.mount_options[..]),
            ("/o", &["index=off".to_owned()][..])
        );
    }

    #[test]
    fn imports_add_up() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, "version = 4\nimports = ['d/*.toml']\ndisabled_plugins = ['a.b']\n")
            .expect("write");
        std::fs::create_dir(dir.path().join("d")).expect("mkdir");
        std::fs::write(dir.path().join("d/1.toml"), "version = 4\ndisabled_plugins = ['c.d']\nroot = '/r'\n")
            .expect("write");
        let c = load(&path, Presence::Required).expect("loads").config;
        assert_eq!(c.disabled_plugins, ["a.b", "c.d"]);
        assert_eq!(c.root, Path::new("/r"));
        assert!(load(Path::new("/nonexistent"), Presence::Required).is_err());
        assert!(load(Path::new("/nonexistent"), Presence::Optional).is_ok());
    }
}
