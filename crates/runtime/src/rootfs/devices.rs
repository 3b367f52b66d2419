//! Device nodes and the links of `/dev`.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;

use kernel::file::{NodeKind, make_node_at};
use kernel::path::clean;
use kernel::{Errno, KernelError, mount};
use oci::runtime::LinuxDevice;
use rustix::fs::{AtFlags, Gid, Uid};

use super::Tree;
use crate::{Error, Result};

/// What every `/dev` has: name, major and minor number.
const DEFAULT: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("random", 1, 8), ("full", 1, 7), ("tty", 5, 0), ("zero", 1, 5), ("urandom", 1, 9)];

/// Links every `/dev` has.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// A node to make.
struct Node<'a> {
    name: &'a OsStr,
    kind: NodeKind,
    uid: u32,
    gid: u32,
}

impl Tree<'_> {
    /// Makes the default nodes, those of the bundle, and the links.
    pub(super) fn make_devices(&self) -> Result<()> {
        let dev = self.root.make_directories(Path::new("/dev"), 0o755)?;
        for (name, major, minor) in DEFAULT {
            if self.plan.linux.devices.iter().any(|device| device.path == format!("/dev/{name}")) {
                continue;
            }
            let kind = NodeKind { mode: libc::S_IFCHR | 0o666, major, minor };
            let node = Node { name: OsStr::new(name), kind, uid: 0, gid: 0 };
            self.make_node(&dev, &node, Path::new("/dev"))?;
        }
        for device in &self.plan.linux.devices {
            self.make_device(device)?;
        }
        self.make_links(&dev)
    }

    fn make_device(&self, device: &LinuxDevice) -> Result<()> {
        let path = clean(Path::new(&device.path));
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
            return Err(Error::invalid(format!("invalid device path {:?}", device.path)));
        };
        // The terminal's own links are made elsewhere.
        if path == Path::new("/dev/ptmx") || path == Path::new("/dev/console") {
            return Ok(());
        }
        let file_type = match device.kind.as_str() {
            "c" | "u" => libc::S_IFCHR,
            "b" => libc::S_IFBLK,
            "p" => libc::S_IFIFO,
            other => {
                return Err(Error::invalid(format!(
                    "{other} is not a valid device type for device {}",
                    device.path
                )));
            }
        };
        let number = |number: i64| {
            u32::try_from(number)
                .map_err(|_| Error::invalid(format!("invalid number {number} of device {}", device.path)))
        };
        let kind = NodeKind {
            mode: file_type | device.file_mode.unwrap_or(0o666) & 0o7777,
            major: number(device.major)?,
            minor: number(device.minor)?,
        };
        let directory = self.root.make_directories(parent, 0o755)?;
        let node =
            Node { name, kind, uid: device.uid.unwrap_or_default(), gid: device.gid.unwrap_or_default() };
        self.make_node(&directory, &node, parent)
    }

    /// Makes a node, or binds the host's over an empty file where nodes may not be made.
    fn make_node(&self, directory: &OwnedFd, node: &Node<'_>, parent: &Path) -> Result<()> {
        let path = parent.join(node.name);
        let failed = |errno: Errno| {
            Error::unknown(format!(
                "error creating device nodes: {}: {}",
                path.display(),
                kernel::strerror(errno)
            ))
        };
        if self.plan.user_namespace {
            return self.bind_node(&path).map_err(|error| failed(error.errno()));
        }
        match make_node_at(directory, node.name, node.kind) {
            Ok(()) => {}
            // An image may bring nodes along.
            Err(Errno::EXIST) => return Ok(()),
            Err(Errno::PERM) => return self.bind_node(&path).map_err(|error| failed(error.errno())),
            Err(errno) => return Err(failed(errno)),
        }
        if node.uid != 0 || node.gid != 0 {
            let (uid, gid) = (Uid::from_raw(node.uid), Gid::from_raw(node.gid));
            rustix::fs::chownat(directory, node.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed)?;
        }
        Ok(())
    }

    fn bind_node(&self, path: &Path) -> kernel::Result<()> {
        let tree = mount::detach_copy(path, mount::Reach::One)?;
        let place = self.root.make_file(path, 0o666)?;
        mount::attach(&tree, &place)
    }

    fn make_links(&self, dev: &OwnedFd) -> Result<()> {
        let link = |target: &str, name: &str| match rustix::fs::symlinkat(target, dev, name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(KernelError::new("symlink", format!("{target} /dev/{name}"), errno)),
        };
        for (target, name) in LINKS {
            link(target, name)?;
        }
        if rustix::fs::access("/proc/kcore", rustix::fs::Access::EXISTS).is_ok() {
            link("/proc/kcore", "core")?;
        }
        match rustix::fs::unlinkat(dev, "ptmx", AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(link("pts/ptmx", "ptmx")?),
            // A mount or directory of the bundle's own stands there.
            Err(Errno::BUSY | Errno::ISDIR) => Ok(()),
            Err(errno) => Err(KernelError::new("remove", "/dev/ptmx", errno).into()),
        }
    }
}
