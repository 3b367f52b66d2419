//! The plugins this daemon is built with: one line each. Only here are implementations named.

use crate::config::Config;
use model::plugins::Kind;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What was built, and what introspection is told of it.
#[derive(Default)]
pub struct Built {
    /// Snapshot drivers by the snapshotter's name.
    pub snapshots: BTreeMap<String, Arc<dyn model::snapshots::Driver>>,
    /// Differs by name.
    pub differs: BTreeMap<String, Arc<dyn model::diff::Driver>>,
    /// Every plugin, built or not.
    pub entries: Vec<engine::plugins::Entry>,
}

/// Builds everything that is not disabled. What cannot be built is listed with its error.
///
/// # Errors
/// A required plugin that cannot be built.
pub fn build(config: &Config) -> anyhow::Result<Built> {
    let mut built = Built::default();
    built.note(Kind::Content, "content", Ok(()));
    built.snapshots(config, "native", |dir| Ok(Arc::new(snapshot_native::open(dir)?)));
    built.snapshots(config, "overlayfs", |dir| Ok(Arc::new(snapshot_overlay::open(dir, overlay(config))?)));
    built.differ(config, "walking", || {
        Ok(Arc::new(diff_walking::Walking::new(config.root.join("tmpmounts"))))
    });
    for required in &config.required_plugins {
        let found = built.entries.iter().find(|e| format!("{}.{}", e.kind, e.id) == *required);
        if let Some(error) = found.and_then(|e| e.error.as_ref()) {
            anyhow::bail!("required plugin {required} cannot be built: {error}");
        }
    }
    Ok(built)
}

/// Who speaks to registries. They are told what containerd of the same version would tell them.
///
/// # Errors
/// The version cannot stand in a header.
pub fn registries() -> anyhow::Result<Arc<dyn model::registries::Registries>> {
    Ok(Arc::new(registry::Registries::new(&format!("containerd/{}", crate::CONTAINERD_VERSION))?))
}

fn overlay(config: &Config) -> snapshot_overlay::Config {
    let section = &config.plugins.overlayfs;
    snapshot_overlay::Config { mount_options: section.mount_options.clone() }
}

impl Built {
    fn snapshots<F>(&mut self, config: &Config, name: &str, open: F)
    where
        F: FnOnce(PathBuf) -> model::Result<Arc<dyn model::snapshots::Driver>>,
    {
        let own = match name {
            "native" => &config.plugins.native.root_path,
            _ => &config.plugins.overlayfs.root_path,
        };
        let dir = match own.as_str() {
            "" => config.root.join(format!("{}.{name}", Kind::Snapshots.type_url())),
            path => path.into(),
        };
        let built = enabled(config, Kind::Snapshots, name).and_then(|()| open(dir)).and_then(|driver| {
            driver.probe()?;
            self.snapshots.insert(name.into(), driver);
            Ok(())
        });
        self.note(Kind::Snapshots, name, built);
    }

    fn differ<F>(&mut self, config: &Config, name: &str, build: F)
    where
        F: FnOnce() -> model::Result<Arc<dyn model::diff::Driver>>,
    {
        let built = enabled(config, Kind::Diff, name).and_then(|()| build()).map(|driver| {
            self.differs.insert(name.into(), driver);
        });
        self.note(Kind::Diff, name, built);
    }

    fn note(&mut self, kind: Kind, id: &str, built: model::Result<()>) {
        let error = built.err().map(|e| {
            tracing::warn!(plugin = %format!("{}.{id}", kind.type_url()), error = %e, "plugin is not available");
            e.to_string()
        });
        self.entries.push(engine::plugins::Entry {
            kind: kind.type_url().into(),
            id: id.into(),
            platform: true,
            error,
            ..engine::plugins::Entry::default()
        });
    }
}

fn enabled(config: &Config, kind: Kind, id: &str) -> model::Result<()> {
    let name = format!("{}.{id}", kind.type_url());
    match config.disabled_plugins.contains(&name) {
        true => Err(model::Error::unknown("disabled in the configuration: skip plugin")),
        false => Ok(()),
    }
}
