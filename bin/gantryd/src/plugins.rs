//! The plugins this daemon is built with: one line each. Only here are implementations named.

use crate::config::{Config, Nothing, Snapshotter};
use model::plugins::Kind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A line for each: name, section of the configuration file with the keys of its own, how it is opened.
macro_rules! snapshotters {
    ($($name:ident $section:literal $own:ty: $open:expr;)*) => {
        /// The snapshotters' sections of `[plugins]`.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Snapshotters {
            $(
                #[doc = concat!("`", $section, "`")]
                #[serde(rename = $section)]
                pub $name: Snapshotter<$own>,
            )*
        }

        fn snapshotters(built: &mut Built, config: &Config) {
            $(built.snapshots(config, (stringify!($name), &config.plugins.snapshots.$name), $open);)*
        }
    };
}

snapshotters! {
    native "io.containerd.snapshotter.v1.native" Nothing:
        |dir, _| Ok(Arc::new(snapshot_native::open(dir)?));
    overlayfs "io.containerd.snapshotter.v1.overlayfs" snapshot_overlay::Config:
        |dir, own| Ok(Arc::new(snapshot_overlay::open(dir, own.clone())?));
}

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
/// A required plugin that cannot be built or does not exist.
pub fn build(config: &Config) -> anyhow::Result<Built> {
    let mut built = Built::default();
    built.note(Kind::Content, "content", Ok(Vec::new()));
    snapshotters(&mut built, config);
    built.differ(config, "walking", || {
        Ok(Arc::new(diff_walking::Walking::new(config.root.join("tmpmounts"))))
    });
    for required in &config.required_plugins {
        let Some((kind, id)) = required.rsplit_once('.') else {
            anyhow::bail!("required_plugins: {required:?} is not of the form type.id");
        };
        match built.entries.iter().find(|e| e.kind == kind && e.id == id) {
            Some(engine::plugins::Entry { error: Some(error), .. }) => {
                anyhow::bail!("required plugin {required} cannot be built: {error}")
            }
            Some(_) => {}
            None if engine::plugins::is_built_in(kind, id) => {}
            None => anyhow::bail!(
                "required plugin {required} does not exist; remove it from required_plugins, or see the list of \
                 `ctr plugins ls`"
            ),
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

impl Built {
    fn snapshots<C, F>(&mut self, config: &Config, (name, section): (&str, &Snapshotter<C>), open: F)
    where
        C: Default,
        F: FnOnce(PathBuf, &C) -> model::Result<Arc<dyn model::snapshots::Driver>>,
    {
        let dir = match section.root_path.as_str() {
            "" => config.root.join(format!("{}.{name}", Kind::Snapshots.type_url())),
            path => path.into(),
        };
        let built = enabled(config, Kind::Snapshots, name).and_then(|()| {
            let driver = open(dir, &section.own)?;
            driver.probe()?;
            let capabilities = driver.capabilities();
            self.snapshots.insert(name.into(), driver);
            Ok(capabilities)
        });
        self.note(Kind::Snapshots, name, built);
    }

    fn differ<F>(&mut self, config: &Config, name: &str, build: F)
    where
        F: FnOnce() -> model::Result<Arc<dyn model::diff::Driver>>,
    {
        let built = enabled(config, Kind::Diff, name).and_then(|()| build()).map(|driver| {
            self.differs.insert(name.into(), driver);
            Vec::new()
        });
        self.note(Kind::Diff, name, built);
    }

    /// Lists a plugin with what it can do, or why it is not there.
    fn note(&mut self, kind: Kind, id: &str, built: model::Result<Vec<&str>>) {
        let (capabilities, error) = match built {
            Ok(capabilities) => (capabilities, None),
            Err(e) => {
                tracing::warn!(plugin = %format!("{}.{id}", kind.type_url()), error = %e, "plugin is not available");
                (Vec::new(), Some(e.to_string()))
            }
        };
        self.entries.push(engine::plugins::Entry {
            kind: kind.type_url().into(),
            id: id.into(),
            platform: true,
            capabilities: capabilities.into_iter().map(str::to_owned).collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_required_must_be_there() {
        let dir = tempfile::tempdir().expect("dir");
        let native = "io.containerd.snapshotter.v1.native";
        for (required, disabled, refused) in [
            ("io.containerd.snapshotter.v1.native", "", None),
            ("io.containerd.grpc.v1.tasks", "", None),
            (
                "io.containerd.grpc.v1.cri",
                "",
                Some("required plugin io.containerd.grpc.v1.cri does not exist"),
            ),
            ("native", "", Some("required_plugins: \"native\" is not of the form type.id")),
            (native, native, Some("cannot be built: disabled")),
        ] {
            let config = Config {
                root: dir.path().to_owned(),
                required_plugins: vec![required.into()],
                disabled_plugins: vec![disabled.into()],
                ..Config::default()
            };
            match (build(&config).err().map(|e| e.to_string()), refused) {
                (None, None) => {}
                (Some(text), Some(words)) => assert!(text.contains(words), "{text}"),
                other => panic!("{required}: {other:?}"),
            }
        }
    }

    #[test]
    fn each_snapshotter_has_its_own_directory() {
        let dir = tempfile::tempdir().expect("dir");
        let mut config = Config { root: dir.path().join("root"), ..Config::default() };
        config.plugins.snapshots.overlayfs.root_path = dir.path().join("elsewhere").display().to_string();
        build(&config).expect("built");
        assert!(dir.path().join("root/io.containerd.snapshotter.v1.native").is_dir());
        assert!(dir.path().join("elsewhere").is_dir());
        assert!(!dir.path().join("root/io.containerd.snapshotter.v1.overlayfs").exists());
    }
}
