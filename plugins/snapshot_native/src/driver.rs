//! Numbered directories, each a whole tree.

use crate::{copy, probe};
use model::snapshots::{Driver, Kind, Layer, Usage};
use model::{Error, Mount, Result};
use std::fs::{DirBuilder, remove_dir_all, rename};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

struct Native {
    root: PathBuf,
    snapshots: PathBuf,
}

/// Opens the driver below its directory, which is made if it is not there.
///
/// # Errors
/// The directory cannot be made or read.
pub fn open(root: PathBuf) -> Result<impl Driver> {
    let snapshots = root.join("snapshots");
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&snapshots).map_err(|e| Error::io("mkdir", &snapshots, e))?;
    let native = Native { root, snapshots };
    for (name, path) in native.entries()? {
        if name.starts_with("new-") {
            remove_dir_all(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
    }
    Ok(native)
}

impl Driver for Native {
    fn probe(&self) -> Result<()> {
        probe::probe(&self.root)
    }

    fn create(&self, layer: &Layer) -> Result<()> {
        let fresh = self.snapshots.join(format!("new-{}", layer.id));
        let made = self.fill(layer, &fresh).and_then(|()| {
            let path = self.dir(layer.id);
            rename(&fresh, &path).map_err(|e| Error::io("rename", &path, e))
        });
        let Err(error) = made else { return Ok(()) };
        match remove_dir_all(&fresh) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(error.beside(Error::io("remove", &fresh, e))),
            _ => Err(error),
        }
    }

    fn mounts(&self, layer: &Layer) -> Result<Vec<Mount>> {
        let (id, mode) = match (layer.kind, layer.parents.first()) {
            (Kind::Active, _) => (layer.id, "rw"),
            (_, Some(parent)) => (*parent, "ro"),
            (_, None) => (layer.id, "ro"),
        };
        let options = vec!["rbind".into(), mode.into()];
        Ok(vec![Mount {
            kind: "bind".into(),
            source: self.dir(id).display().to_string(),
            target: String::new(),
            options,
        }])
    }

    fn usage(&self, layer: &Layer) -> Result<Usage> {
        let (size, inodes) = kernel::usage::tree(&self.dir(layer.id))
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

    /// The tree stays what it is; whoever asks for a parent has put the parent's files into it.
    fn can_rebase(&self) -> bool {
        true
    }
}

impl Native {
    fn dir(&self, id: u64) -> PathBuf {
        self.snapshots.join(id.to_string())
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
        DirBuilder::new().mode(0o755).create(dir).map_err(|e| Error::io("mkdir", dir, e))?;
        let Some(parent) = layer.parents.first() else { return Ok(()) };
        let parent = self.dir(*parent);
        let metadata = parent.metadata().map_err(|e| Error::io("stat", &parent, e))?;
        chown(dir, Some(metadata.uid()), Some(metadata.gid())).map_err(|e| Error::io("chown", dir, e))?;
        let mode = std::fs::Permissions::from_mode(metadata.mode() & 0o7777);
        std::fs::set_permissions(dir, mode).map_err(|e| Error::io("chmod", dir, e))?;
        if layer.kind == Kind::Active {
            copy::tree(&parent, dir)?;
        }
        Ok(())
    }
}
