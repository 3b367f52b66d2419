//! Numbered directories and the mounts they make.

use crate::{Config, probe};
use model::snapshots::{Driver, Kind, Layer, Usage};
use model::{Error, Labels, Mount, Result};
use std::fs::{DirBuilder, remove_dir_all, rename};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The labels that say which ids the container sees as which.
const MAPPINGS: [(&str, &str); 2] =
    [("uidmap", "containerd.io/snapshot/uidmapping"), ("gidmap", "containerd.io/snapshot/gidmapping")];

/// The label that says where a snapshot's own files lie.
const UPPER: &str = "containerd.io/snapshot/overlay.upperdir";

/// Snapshots in a directory.
struct Overlay {
    root: PathBuf,
    snapshots: PathBuf,
    options: Vec<String>,
    tells_upper: bool,
    /// Whether mounts map ids, once that was tried.
    maps_ids: OnceLock<bool>,
}

/// Opens the driver below `root`, which is made if it is not there.
///
/// # Errors
/// The directory cannot be made or read.
pub fn open(root: PathBuf, config: Config) -> Result<impl Driver> {
    let snapshots = root.join("snapshots");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&snapshots).map_err(|e| Error::io("mkdir", &snapshots, e))?;
    let overlay = Overlay {
        root,
        snapshots,
        options: probe::options(&config.mount_options),
        tells_upper: config.upperdir_label,
        maps_ids: OnceLock::new(),
    };
    for (name, path) in overlay.entries()? {
        if name.starts_with("new-") {
            remove_dir_all(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
    }
    Ok(overlay)
}

impl Driver for Overlay {
    fn probe(&self) -> Result<()> {
        let maps_ids = probe::probe(&self.root)?;
        self.maps_ids.get_or_init(|| maps_ids);
        Ok(())
    }

    fn create(&self, layer: &Layer) -> Result<()> {
        let fresh = self.snapshots.join(format!("new-{}", layer.id));
        let step = kernel::trace::begin();
        let made = self.fill(layer, &fresh).and_then(|()| {
            let path = self.dir(layer.id);
            rename(&fresh, &path).map_err(|e| Error::io("rename", &path, e))
        });
        step.end("daemon.make-snapshot", "");
        let Err(error) = made else { return Ok(()) };
        match remove_dir_all(&fresh) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(error.beside(Error::io("remove", &fresh, e))),
            _ => Err(error),
        }
    }

    fn mounts(&self, layer: &Layer) -> Result<Vec<Mount>> {
        let mut options = mappings(&layer.labels)?;
        let lowers: Vec<String> = layer.parents.iter().map(|id| self.fs(*id).display().to_string()).collect();
        let active = layer.kind == Kind::Active;
        let bind = match (&lowers[..], active) {
            ([], _) => Some(self.fs(layer.id).display().to_string()),
            ([only], false) => Some(only.clone()),
            _ => None,
        };
        if let Some(source) = bind {
            options.extend([if active { "rw" } else { "ro" }.into(), "rbind".into()]);
            return Ok(vec![Mount { kind: "bind".into(), source, target: String::new(), options }]);
        }
        if active {
            options.push(format!("workdir={}", self.dir(layer.id).join("work").display()));
            options.push(format!("upperdir={}", self.fs(layer.id).display()));
        }
        options.push(format!("lowerdir={}", lowers.join(":")));
        options.extend(self.options.iter().cloned());
        Ok(vec![Mount { kind: "overlay".into(), source: "overlay".into(), target: String::new(), options }])
    }

    fn usage(&self, layer: &Layer) -> Result<Usage> {
        let (size, inodes) = kernel::usage::tree(&self.fs(layer.id))
            .map_err(|e| Error::unknown(e.to_string()).with_source(e))?;
        Ok(Usage { size: size as i64, inodes: inodes as i64 })
    }

    fn commit(&self, layer: &Layer) -> Result<Usage> {
        self.usage(layer)
    }

    fn remove(&self, id: u64) -> Result<()> {
        let path = self.dir(id);
        match remove_dir_all(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &path, e)),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<u64>> {
        Ok(self.entries()?.into_iter().filter_map(|(name, _)| name.parse().ok()).collect())
    }

    fn can_rebase(&self) -> bool {
        true
    }

    fn capabilities(&self) -> Vec<&'static str> {
        probe::capabilities(self.maps_ids.get().is_some_and(|maps| *maps))
    }

    fn labels(&self, id: u64) -> Labels {
        let path = self.tells_upper.then(|| self.fs(id).display().to_string());
        path.map(|path| (UPPER.to_owned(), path)).into_iter().collect()
    }
}

impl Overlay {
    fn dir(&self, id: u64) -> PathBuf {
        self.snapshots.join(id.to_string())
    }

    fn fs(&self, id: u64) -> PathBuf {
        self.dir(id).join("fs")
    }

    fn entries(&self) -> Result<Vec<(String, PathBuf)>> {
        let failed = |e| Error::io("read", &self.snapshots, e);
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(&self.snapshots).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            entries.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
        Ok(entries)
    }

    fn fill(&self, layer: &Layer, dir: &Path) -> Result<()> {
        DirBuilder::new().mode(0o700).create(dir).map_err(|e| Error::io("mkdir", dir, e))?;
        let fs = dir.join("fs");
        DirBuilder::new().mode(0o755).create(&fs).map_err(|e| Error::io("mkdir", &fs, e))?;
        if layer.kind == Kind::Active {
            let work = dir.join("work");
            DirBuilder::new().mode(0o711).create(&work).map_err(|e| Error::io("mkdir", &work, e))?;
        }
        let (uid, gid) = self.owner(layer)?;
        if (uid, gid) != (0, 0) {
            chown(&fs, Some(uid), Some(gid)).map_err(|e| Error::io("chown", &fs, e))?;
        }
        Ok(())
    }

    /// Who owns the root of the file system: the container's root, else whoever owns the parent's.
    fn owner(&self, layer: &Layer) -> Result<(u32, u32)> {
        let [uid, gid] = MAPPINGS.map(|(_, label)| layer.labels.get(label).map(|text| host_root(text)));
        if let (Some(uid), Some(gid)) = (uid, gid) {
            return Ok((uid?, gid?));
        }
        match layer.parents.first() {
            None => Ok((0, 0)),
            Some(parent) => {
                let path = self.fs(*parent);
                let metadata = path.metadata().map_err(|e| Error::io("stat", &path, e))?;
                Ok((metadata.uid(), metadata.gid()))
            }
        }
    }
}

/// The id-map options of a mount.
fn mappings(labels: &Labels) -> Result<Vec<String>> {
    let mut options = Vec::new();
    for (option, label) in MAPPINGS {
        if let Some(text) = labels.get(label) {
            host_root(text)?;
            options.push(format!("{option}={text}"));
        }
    }
    Ok(options)
}

/// The host's id for the container's 0 in `container:host:size[,…]`.
fn host_root(text: &str) -> Result<u32> {
    let wrong = || {
        Error::unknown(format!(
            "failed to unmarshal snapshot ID mapped labels: {text:?} is not container:host:size"
        ))
    };
    for range in text.split(',') {
        let numbers: Vec<u32> =
            range.split(':').map(|n| n.parse().map_err(|_| wrong())).collect::<Result<_>>()?;
        match numbers[..] {
            [0, host, _] => return Ok(host),
            [_, _, _] => {}
            _ => return Err(wrong()),
        }
    }
    Err(wrong())
}
