//! Bundles: the two directories of a task.
//!
//! ```text
//! <state>/io.containerd.runtime.v2.task/<namespace>/<id>/   0700
//!     config.json        the OCI spec, byte for byte
//!     rootfs/            where the shim mounts the root file system
//!     work               → <root>/io.containerd.runtime.v2.task/<namespace>/<id>/
//!     log                fifo for the shim's log
//!     shim-binary-path   which binary was started
//!     bootstrap.json     where it listens
//!     sandbox            the sandbox whose shim is used instead of an own one
//!     .exit-seen         ours: init's exit, once it has been published
//! ```
//!
//! Everything here is synchronous; callers keep it off the event loop.

use crate::setup::Setup;
use crate::unmount;
use model::{Error, Kind, Result, error::os_text};
use serde::Deserialize;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file that names the shim's binary.
pub(crate) const BINARY: &str = "shim-binary-path";
/// The file that says where the shim listens.
pub(crate) const BOOTSTRAP: &str = "bootstrap.json";
/// The same in bundles of older daemons and shims.
pub(crate) const ADDRESS: &str = "address";
/// The file that names the sandbox.
pub(crate) const SANDBOX: &str = "sandbox";

/// The two directories of a task.
#[derive(Clone, Debug)]
pub(crate) struct Bundle {
    /// The bundle itself.
    pub(crate) path: PathBuf,
    work: PathBuf,
}

impl Bundle {
    /// The bundle of a task, there or not.
    pub(crate) fn new(setup: &Setup, namespace: &str, id: &str) -> Self {
        Self {
            path: setup.bundles_dir().join(namespace).join(id),
            work: setup.work_dir().join(namespace).join(id),
        }
    }

    /// A bundle at a place of the caller's choice.
    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), work: path.with_extension("work") }
    }

    /// Makes the directories, `config.json` and one file that says whose shim serves. An old working directory is
    /// replaced.
    ///
    /// # Errors
    /// `mkdir <bundle>: file exists`.
    pub(crate) fn create(&self, spec: &[u8], served_by: (&str, &str)) -> Result<()> {
        make_dir(&self.path, 0o700).map_err(|e| e.with_kind(Kind::Unknown))?;
        self.fill(spec, served_by).map_err(|e| match self.delete() {
            Ok(()) => e,
            Err(second) => e.beside(second),
        })
    }

    fn fill(&self, spec: &[u8], served_by: (&str, &str)) -> Result<()> {
        if let Some(gid) = mapped_root(spec) {
            admit(&self.path, gid)?;
        }
        make_dir(&self.path.join("rootfs"), 0o711)?;
        match make_dir(&self.work, 0o711) {
            Ok(()) => {}
            Err(e) if e.is_already_exists() => {
                remove(&self.work)?;
                make_dir(&self.work, 0o711)?;
            }
            Err(e) => return Err(e),
        }
        let link = self.path.join("work");
        std::os::unix::fs::symlink(&self.work, &link).map_err(|e| Error::io("symlink", &link, e))?;
        self.write("config.json", spec, 0o644)?;
        self.write(served_by.0, served_by.1.as_bytes(), 0o600)
    }

    /// Writes one file.
    pub(crate) fn write(&self, name: &str, content: &[u8], mode: u32) -> Result<()> {
        let path = self.path.join(name);
        let mut options = std::fs::OpenOptions::new();
        options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&path)
            .and_then(|mut file| file.write_all(content))
            .map_err(|e| Error::io("write", &path, e))
    }

    /// Reads one file as text; `None` when it is not there.
    pub(crate) fn find(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path.join(name)).ok()
    }

    /// Removes both directories, after everything below `rootfs` is unmounted. What is not there is no error.
    pub(crate) fn delete(&self) -> Result<()> {
        kernel::trace::during("daemon.delete-bundle", "", || self.delete_all())
    }

    fn delete_all(&self) -> Result<()> {
        let rootfs = self.path.join("rootfs");
        match std::fs::remove_dir(&rootfs) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            // A mount point, or not empty: something may be mounted at or below it.
            Err(_) => unmount::recursive(&rootfs)?,
        }
        remove(&self.path)?;
        remove(&self.work)
    }
}

/// Makes a directory, and those above it if need be.
fn make_dir(path: &Path, mode: u32) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    let made = match builder.mode(mode).create(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let parent = path.parent().unwrap_or(path);
            let mut parents = std::fs::DirBuilder::new();
            parents.recursive(true).mode(0o711).create(parent).map_err(|e| Error::io("mkdir", parent, e))?;
            builder.create(path)
        }
        made => made,
    };
    made.map_err(|e| {
        let text = format!("mkdir {}: {}", path.display(), os_text(&e));
        let exists = e.kind() == ErrorKind::AlreadyExists;
        let error = Error::unknown(text).with_source(e);
        if exists { error.with_kind(Kind::AlreadyExists) } else { error }
    })
}

/// Renames a directory so that nobody finds it half removed, then removes it.
fn remove(path: &Path) -> Result<()> {
    // One that is empty goes in one step.
    if std::fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    let Some(name) = path.file_name() else { return Ok(()) };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let hidden = path.with_file_name(hidden);
    let mut moved = std::fs::rename(path, &hidden);
    if moved.as_ref().is_err_and(|e| e.kind() == ErrorKind::DirectoryNotEmpty) {
        std::fs::remove_dir_all(&hidden).map_err(|e| Error::io("remove", &hidden, e))?;
        moved = std::fs::rename(path, &hidden);
    }
    match moved {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::io("rename", path, e)),
        // Not there any more: an earlier removal may have stopped half way.
        _ => {}
    }
    match std::fs::remove_dir_all(&hidden) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", &hidden, e)),
        _ => Ok(()),
    }
}

/// Lets the group that is root inside of a user namespace into the bundle.
fn admit(path: &Path, gid: u32) -> Result<()> {
    std::os::unix::fs::chown(path, None, Some(gid)).map_err(|e| Error::io("chown", path, e))?;
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o710)).map_err(|e| Error::io("chmod", path, e))
}

/// The host's id of the group 0 inside of the container, when it is another one.
fn mapped_root(spec: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Spec {
        linux: Option<Linux>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Linux {
        #[serde(default)]
        gid_mappings: Option<Vec<Mapping>>,
    }
    #[derive(Deserialize)]
    struct Mapping {
        #[serde(rename = "containerID", default)]
        container: u32,
        #[serde(rename = "hostID", default)]
        host: u32,
    }
    let key = b"gidMappings";
    if !spec.windows(key.len()).any(|window| window == key) {
        return None;
    }
    let spec: Spec = serde_json::from_slice(spec).ok()?;
    let mappings = spec.linux?.gid_mappings?;
    mappings.iter().find(|m| m.container == 0).map(|m| m.host).filter(|gid| *gid != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn bundle(dir: &Path) -> Bundle {
        Bundle { path: dir.join("state/ns/a"), work: dir.join("root/ns/a") }
    }

    fn mode(path: PathBuf) -> u32 {
        std::fs::metadata(&path).expect("metadata").mode() & 0o7777
    }

    #[test]
    fn lies_where_and_as_containerd_puts_it() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = bundle(dir.path());
        std::fs::create_dir_all(bundle.work.join("old")).expect("old work");
        let spec = b"{ \"ociVersion\" : \"1.2.0\" }\n";
        bundle.create(spec, (BINARY, "/shim")).expect("create");
        assert_eq!(std::fs::read(bundle.path.join("config.json")).expect("read"), spec);
        assert_eq!(std::fs::read_link(bundle.path.join("work")).expect("link"), bundle.work);
        assert!(!bundle.work.join("old").exists());
        for (path, expected) in
            [("state/ns", 0o711), ("state/ns/a", 0o700), ("state/ns/a/rootfs", 0o711), ("root/ns/a", 0o711)]
        {
            assert_eq!(mode(dir.path().join(path)), expected, "{path}");
        }
        assert_eq!(mode(bundle.path.join("config.json")), 0o644);
        let again = bundle.create(spec, (BINARY, "/shim")).expect_err("there already");
        assert_eq!(again.text(), format!("mkdir {}: file exists", bundle.path.display()));
        bundle.delete().expect("delete");
        assert_eq!(std::fs::read_dir(dir.path().join("state/ns")).expect("list").count(), 0);
        assert_eq!(std::fs::read_dir(dir.path().join("root/ns")).expect("list").count(), 0);
        bundle.delete().expect("nothing is left to delete");
    }

    #[test]
    fn admits_the_mapped_root() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = bundle(dir.path());
        let spec = br#"{"linux":{"gidMappings":[{"containerID":0,"hostID":4242,"size":10}]}}"#;
        bundle.create(spec, (BINARY, "/shim")).expect("create");
        let meta = std::fs::metadata(&bundle.path).expect("metadata");
        assert_eq!((meta.mode() & 0o7777, meta.uid(), meta.gid()), (0o710, 0, 4242));
    }

    #[test]
    fn unmounts_before_it_removes() {
        use rustix::mount::{MountFlags, mount, mount_bind};
        let dir = tempfile::tempdir().expect("dir");
        let kept = dir.path().join("kept");
        std::fs::create_dir(&kept).expect("mkdir");
        std::fs::write(kept.join("precious"), "x").expect("write");
        let bundle = bundle(dir.path());
        bundle.create(b"{}", (BINARY, "/shim")).expect("create");
        let rootfs = bundle.path.join("rootfs");
        mount("tmpfs", &rootfs, "tmpfs", MountFlags::empty(), None).expect("mount");
        std::fs::create_dir(rootfs.join("a b")).expect("mkdir");
        mount_bind(&kept, rootfs.join("a b")).expect("bind");
        bundle.delete().expect("delete");
        assert!(!bundle.path.exists());
        assert_eq!(std::fs::read_to_string(kept.join("precious")).expect("kept"), "x");
    }

    #[test]
    fn replaces_what_an_earlier_removal_left() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = bundle(dir.path());
        bundle.create(b"{}", (BINARY, "/shim")).expect("create");
        std::fs::create_dir_all(dir.path().join("state/ns/.a/rest")).expect("mkdir");
        bundle.delete().expect("delete");
        assert_eq!(std::fs::read_dir(dir.path().join("state/ns")).expect("list").count(), 0);
        std::fs::create_dir_all(dir.path().join("state/ns/.a/rest")).expect("mkdir");
        bundle.delete().expect("delete the rest");
        assert_eq!(std::fs::read_dir(dir.path().join("state/ns")).expect("list").count(), 0);
    }
}
