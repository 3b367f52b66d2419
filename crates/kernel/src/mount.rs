//! Mounts: the option words of containerd and OCI, bind, idmapped, overlay, loop and FUSE mounts, unmounting.
//!
//! [`Mount`] is what containerd's API calls a mount, complete with every special option. The smaller functions are
//! the single steps, for whoever builds a file system tree of his own.

pub mod attributes;
mod idmap;
mod options;
mod overlay;
mod special;
pub(crate) mod unmount;

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags};

pub use attributes::Attributes;
pub use options::{Dialect, IdMapping, OCI_WORDS, Options, flags_text};
pub use unmount::{
    Detach, unmount, unmount_all, unmount_mounts, unmount_recursive, unmount_recursive_holding,
};

use crate::error::{Context, last_errno};
use crate::path::{Root, clean, descriptor_path};
use crate::{KernelError, Result};

/// `MS_…` flags of mount(2).
pub type Flags = u64;

/// The flags that say how mounts below spread.
pub const PROPAGATION: Flags = libc::MS_SHARED | libc::MS_PRIVATE | libc::MS_SLAVE | libc::MS_UNBINDABLE;

/// A mount as containerd's API has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// File system type; `bind` and empty stand for bind mounts with that option.
    pub kind: String,
    /// Device, directory or word.
    pub source: String,
    /// Sub-path below the directory that all mounts of a list share; mostly empty.
    pub target: String,
    /// Options in the manner of fstab.
    pub options: Vec<String>,
}

impl Mount {
    /// Makes the mount at `at`, or at its own sub-path below it, which never leads outside of `at`.
    pub fn mount(&self, at: &Path) -> Result<()> {
        if self.target.is_empty() {
            return self.mount_exactly(at);
        }
        let place = self.sub_path(at)?;
        self.mount_exactly(&place)
    }

    /// Where the mount's own sub-path lies. The directory must be there.
    fn sub_path(&self, at: &Path) -> Result<PathBuf> {
        let root = Root::open(at)?;
        let place = root.make_directories(&clean(Path::new(&self.target)), 0o755)?;
        crate::path::location(&place)
    }

    fn mount_exactly(&self, at: &Path) -> Result<()> {
        let options = Options::parse(&self.options, Dialect::Containerd)?;
        if self.kind.starts_with("fuse.") || self.kind.starts_with("fuse3.") {
            return special::mount_fuse(self, at);
        }
        if options.id_mapping.is_some() && self.kind != "overlay" {
            return idmap::mount_idmapped(self, &options, at);
        }
        if self.kind == "overlay" {
            return overlay::mount_overlay(self, options, at);
        }
        if options.loop_device {
            return special::mount_loop(self, &options, at);
        }
        mount_with_options(&self.source, at, &self.kind, &options)
    }
}

/// Mounts every one of a list on `at`, in order; when one fails, those before it are taken away again.
pub fn mount_all(mounts: &[Mount], at: &Path) -> Result<()> {
    for (done, mount) in mounts.iter().enumerate() {
        if let Err(error) = mount.mount(at) {
            let _ = unmount_mounts(&mounts[..done], at);
            return Err(error);
        }
    }
    Ok(())
}

/// mount(2) with parsed options: the mount itself, then propagation, then the remount that makes a bind read-only.
pub(crate) fn mount_with_options(source: &str, at: &Path, kind: &str, options: &Options) -> Result<()> {
    let flags = options.flags & !PROPAGATION;
    let data = options.data.join(",");
    if data.len() >= page_size() {
        return Err(KernelError::new("mount options is too long", at.to_string_lossy(), Errno::TOOBIG));
    }
    if flags & libc::MS_REMOUNT == 0 || !data.is_empty() {
        mount(&Request { source, target: at, kind, flags, data: &data })?;
    }
    for propagation in &options.propagation {
        change_propagation(at, *propagation)?;
    }
    if flags & libc::MS_BIND != 0 && flags & libc::MS_RDONLY != 0 {
        return remount_bind(at, flags);
    }
    Ok(())
}

/// Arguments of mount(2).
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Device, directory or word.
    pub source: &'a str,
    /// Where.
    pub target: &'a Path,
    /// File system type.
    pub kind: &'a str,
    /// `MS_…`.
    pub flags: Flags,
    /// Options of the file system.
    pub data: &'a str,
}

/// mount(2).
pub fn mount(request: &Request<'_>) -> Result<()> {
    call_mount(request).map_err(|errno| {
        let kind = if request.flags & libc::MS_BIND != 0 { "bind" } else { request.kind };
        KernelError::new(format!("mount {kind} on"), request.target.to_string_lossy(), errno)
    })
}

/// mount(2) with the kernel's bare answer.
pub fn call_mount(request: &Request<'_>) -> rustix::io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
    let source = text(request.source.as_bytes())?;
    let target = text(request.target.as_os_str().as_bytes())?;
    let kind = text(request.kind.as_bytes())?;
    let data = text(request.data.as_bytes())?;
    let data = if request.data.is_empty() { std::ptr::null() } else { data.as_ptr().cast() };
    // SAFETY: all pointers are C strings (or null for no data) that outlive the call.
    let answer = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), request.flags as libc::c_ulong, data)
    };
    if answer == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Changes how mounts below `target` spread: one of the `MS_…` propagation flags, with `MS_REC` for the whole tree.
pub fn change_propagation(target: &Path, propagation: Flags) -> Result<()> {
    mount(&Request { source: "", target, kind: "", flags: propagation, data: "" })
}

/// Remounts a bind with new flags. In a user namespace flags that the host has locked are kept.
pub fn remount_bind(target: &Path, flags: Flags) -> Result<()> {
    let flags = flags & !(libc::MS_REC | PROPAGATION) | libc::MS_REMOUNT | libc::MS_BIND;
    let request = Request { source: "", target, kind: "", flags, data: "" };
    match call_mount(&request) {
        Err(Errno::PERM) => {
            let locked = locked_flags(target)?;
            mount(&Request { flags: flags | locked, ..request })
        }
        other => other.during("remount", target),
    }
}

/// The flags of the mount at a place that a user namespace may not take away.
fn locked_flags(target: &Path) -> Result<Flags> {
    use rustix::fs::StatVfsMountFlags as Has;
    let found = rustix::fs::statvfs(target).during("statfs", target)?.f_flag;
    let pairs = [
        (Has::RDONLY, libc::MS_RDONLY),
        (Has::NOSUID, libc::MS_NOSUID),
        (Has::NODEV, libc::MS_NODEV),
        (Has::NOEXEC, libc::MS_NOEXEC),
        (Has::NOATIME, libc::MS_NOATIME),
        (Has::NODIRATIME, libc::MS_NODIRATIME),
        (Has::RELATIME, libc::MS_RELATIME),
    ];
    Ok(pairs.iter().filter(|pair| found.contains(pair.0)).fold(0, |flags, pair| flags | pair.1))
}

/// How much of a mount tree is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// The mount alone.
    #[default]
    One,
    /// The mount and all below it.
    Tree,
}

/// A detached copy of the mount at a path, like a bind mount that is not anywhere yet.
pub fn detach_copy(path: &Path, reach: Reach) -> Result<OwnedFd> {
    rustix::mount::open_tree(CWD, path, copy_flags(reach)).during("open_tree", path)
}

/// A detached copy of the mount at an open place.
pub fn detach_copy_of(place: impl AsFd, reach: Reach) -> Result<OwnedFd> {
    let flags = copy_flags(reach) | OpenTreeFlags::AT_EMPTY_PATH;
    rustix::mount::open_tree(place, "", flags).during("open_tree", "")
}

fn copy_flags(reach: Reach) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if reach == Reach::Tree { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Puts a detached mount at an open place. The descriptor then refers to the mounted root.
pub fn attach(tree: impl AsFd, place: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", place, "", flags).during("move_mount", "")
}

/// A new, detached instance of a file system.
pub fn detached(kind: &str, source: &str, parameters: &[(&str, &str)]) -> Result<OwnedFd> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).during("fsopen", kind)?;
    if !source.is_empty() {
        rustix::mount::fsconfig_set_string(context.as_fd(), "source", source).during("fsconfig", kind)?;
    }
    for (key, value) in parameters {
        let set = if value.is_empty() {
            rustix::mount::fsconfig_set_flag(context.as_fd(), *key)
        } else {
            rustix::mount::fsconfig_set_string(context.as_fd(), *key, *value)
        };
        set.during("fsconfig", *key)?;
    }
    rustix::mount::fsconfig_create(context.as_fd()).during("fsconfig", kind)?;
    rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        .during("fsmount", kind)
}

/// Makes the current directory the root of the mount namespace; the old root goes away with all below it.
///
/// `spread` says whether mounts of the old root may still spread to the host; then they are cut off first.
pub fn pivot_to_current_directory(spread: Spread) -> Result<()> {
    rustix::process::pivot_root(".", ".").during("pivot_root", "")?;
    if spread == Spread::Perhaps {
        // The current directory still is the new root, but the path "." now finds the old one on top of it.
        mount(&Request {
            source: "",
            target: Path::new("."),
            kind: "",
            flags: libc::MS_SLAVE | libc::MS_REC,
            data: "",
        })?;
    }
    rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH).during("umount", "old root")?;
    rustix::process::chdir("/").during("chdir", "/")
}

/// Whether events of mounts in the old root may reach the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// They cannot: all mounts are slaves or private.
    Never,
    /// They may.
    Perhaps,
}

/// Moves the current directory's mount over the root and makes it the root: for ramdisks, where pivot_root fails.
pub fn move_current_directory_to_root() -> Result<()> {
    mount(&Request { source: ".", target: Path::new("/"), kind: "", flags: libc::MS_MOVE, data: "" })?;
    rustix::process::chroot(".").during("chroot", ".")?;
    rustix::process::chdir("/").during("chdir", "/")
}

/// A path for calls that take none but mean an open place.
pub fn place_path(place: impl AsFd) -> PathBuf {
    PathBuf::from(descriptor_path(place))
}

/// Size of a memory page, the most data mount(2) takes.
fn page_size() -> usize {
    // SAFETY: plain integers.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}
