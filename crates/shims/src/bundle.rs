//! Bundles: the two directories of a task.
//!
//! ```text
//! <state>/io.containerd.runtime.v2.task/<namespace>/<id>/   0700
//!     config.json        the OCI spec, byte for byte
//!     rootfs/            where the shim mounts the root file system
//!     work               → <root>/io.containerd.runtime.v2.task/<namespace>/<id>/
//!     log                fifo for the shim's log
//!     shim-binary-path   which binary was started
//!     bootstrap.json     where it listens, or is going to
//!     sandbox            the sandbox whose shim is used instead of an own one
//!     .exit-seen         ours: init's exit, once it has been published
//! ```
//!
//! To delete one is to rename both directories to hidden names, which no id can have, once nothing is mounted below
//! `rootfs`: then the name is free. What is in them goes later ([`Hidden`]), or at the daemon's next start.
//!
//! Everything here is synchronous; callers keep it off the event loop.

use crate::bootstrap::Endpoint;
use crate::setup::Setup;
use kernel::mount::{Detach, unmount_recursive};
use model::{Error, Kind, Result, error::os_text};
use serde::Deserialize;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

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
                if let Some(old) = hide(&self.work)? {
                    remove(&old)?;
                }
                make_dir(&self.work, 0o711)?;
            }
            Err(e) => return Err(e),
        }
        let link = self.path.join("work");
        std::os::unix::fs::symlink(&self.work, &link).map_err(|e| Error::io("symlink", &link, e))?;
        self.write("config.json", spec, 0o644)?;
        self.write(served_by.0, served_by.1.as_bytes(), 0o600)
    }

    /// Makes the bundle's directory, and nothing in it.
    pub(crate) fn make_empty(&self) -> Result<()> {
        make_dir(&self.path, 0o700)
    }

    /// Makes again what directories a shim that serves needs of its bundle, where they are missing.
    pub(crate) fn mend(&self) -> Result<()> {
        for (dir, mode) in
            [(self.path.clone(), 0o700), (self.path.join("rootfs"), 0o711), (self.work.clone(), 0o711)]
        {
            match make_dir(&dir, mode) {
                Err(e) if !e.is_already_exists() => return Err(e),
                _ => {}
            }
        }
        let link = self.path.join("work");
        match std::os::unix::fs::symlink(&self.work, &link) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(Error::io("symlink", &link, e)),
            _ => Ok(()),
        }
    }

    /// Notes where the shim listens.
    pub(crate) fn note(&self, endpoint: &Endpoint) -> Result<()> {
        self.write(BOOTSTRAP, endpoint.to_json().as_bytes(), 0o644)
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

    /// Reads one file as text; `None` when it is not there, or empty: a daemon that is killed when it has made a file and
    /// not written it yet leaves that.
    ///
    /// # Errors
    /// It is there and cannot be read, or nobody knows.
    pub(crate) fn find(&self, name: &str) -> Result<Option<String>> {
        let path = self.path.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Takes both directories out of sight, after everything below `rootfs` is unmounted. What is not there is no error.
    pub(crate) fn hide(&self) -> Result<Hidden> {
        kernel::trace::during("daemon.hide-bundle", "", || {
            clear_rootfs(&self.path)?;
            let hidden = [hide(&self.path)?, hide(&self.work)?];
            Ok(Hidden(hidden.into_iter().flatten().collect()))
        })
    }

    /// Removes both directories, see [`Bundle::hide`].
    pub(crate) fn delete(&self) -> Result<()> {
        self.hide()?.remove()
    }
}

/// Directories that nobody finds any more.
#[derive(Debug)]
#[must_use]
pub(crate) struct Hidden(Vec<PathBuf>);

impl Hidden {
    /// Removes them with all that is in them.
    pub(crate) fn remove(self) -> Result<()> {
        kernel::trace::during("daemon.remove-bundle", "", || self.0.iter().try_for_each(|dir| remove(dir)))
    }
}

/// Removes a hidden directory: a bundle's or another.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    clear_rootfs(dir)?;
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("remove", dir, e)),
        _ => Ok(()),
    }
}

/// Sees to it that nothing is mounted at or below a bundle's `rootfs`.
fn clear_rootfs(bundle: &Path) -> Result<()> {
    let rootfs = bundle.join("rootfs");
    match std::fs::remove_dir(&rootfs) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        // A mount point, or not empty: something may be mounted at or below it.
        Err(_) => unmount_recursive(&rootfs, Detach::Yes).map_err(|e| Error::unknown(e.to_string())),
    }
}

/// Renames a directory to a hidden name that no other has; `None` when nothing is left of it.
fn hide(dir: &Path) -> Result<Option<PathBuf>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // One that is empty goes in one step.
    if std::fs::remove_dir(dir).is_ok() {
        return Ok(None);
    }
    let Some(name) = dir.file_name() else { return Ok(None) };
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let hidden = dir.with_file_name(format!(".{}-{number}", name.to_string_lossy()));
        match std::fs::rename(dir, &hidden) {
            Ok(()) => return Ok(Some(hidden)),
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            // An earlier daemon has left it there.
            Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
            Err(e) => return Err(Error::io("rename", dir, e)),
        }
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

    /// The names in the two directories above a bundle's.
    fn left(dir: &Path) -> Vec<String> {
        let names = |dir: PathBuf| std::fs::read_dir(dir).expect("list").flatten();
        let all = names(dir.join("state/ns")).chain(names(dir.join("root/ns")));
        all.map(|entry| entry.file_name().into_string().expect("text")).collect()
    }

    #[test]
    fn hidden_ones_are_in_nobodys_way() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = bundle(dir.path());
        let make = || {
            bundle.create(b"{}", (BINARY, "/shim")).expect("create");
            std::fs::write(bundle.work.join("file"), "x").expect("write");
        };
        make();
        let first = bundle.hide().expect("hide");
        assert_eq!((first.0.len(), left(dir.path()).len()), (2, 2));
        assert!(left(dir.path()).iter().all(|name| name.starts_with(".a-")));
        make();
        let second = bundle.hide().expect("hide the next of that name");
        make();
        second.remove().expect("the second removal overtakes the first");
        first.remove().expect("remove");
        assert_eq!(left(dir.path()), ["a", "a"], "the third is untouched");
        // As if an earlier daemon had counted as far.
        let taken = (0..2000).map(|n| dir.path().join(format!("state/ns/.a-{n}/rest")));
        taken.for_each(|path| std::fs::create_dir_all(path).expect("mkdir"));
        let third = bundle.hide().expect("past the names that are taken");
        assert!(!bundle.path.exists() && !bundle.work.exists());
        third.remove().expect("remove");
        assert_eq!(left(dir.path()).len(), 2000);
    }

    #[test]
    fn nothing_mounted_is_removed_with_a_hidden_one() {
        let dir = tempfile::tempdir().expect("dir");
        let (kept, hidden) = (dir.path().join("kept"), dir.path().join(".a-0"));
        std::fs::create_dir_all(hidden.join("rootfs")).expect("mkdir");
        std::fs::create_dir(&kept).expect("mkdir");
        std::fs::write(kept.join("precious"), "x").expect("write");
        rustix::mount::mount_bind(&kept, hidden.join("rootfs")).expect("bind");
        remove(&hidden).expect("remove");
        assert!(!hidden.exists() && kept.join("precious").exists());
    }

    #[test]
    fn what_cannot_be_read_is_not_absent() {
        let dir = tempfile::tempdir().expect("dir");
        let bundle = Bundle::at(dir.path());
        assert_eq!(bundle.find("none").expect("absent"), None);
        bundle.write("begun", b"", 0o600).expect("write");
        assert_eq!(bundle.find("begun").expect("as good as absent"), None);
        std::fs::create_dir(dir.path().join("dir")).expect("mkdir");
        assert!(bundle.find("dir").expect_err("a directory").text().starts_with("read "));
    }
}
