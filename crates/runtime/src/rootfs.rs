//! The container's file system tree, made by the first process in its own mount namespace.
//!
//! Everything happens before the root is changed, seen from the host's tree: paths of the container are only ever
//! resolved below its root by the kernel ([`Root`]), and every write to procfs goes to the host's own, so nothing that
//! an image or another container laid out is trusted. That answers the attacks by symbolic links on mount
//! destinations, masked paths, `/dev/console` and `/proc` (CVE-2019-19921, -2021-30465, -2023-27561, -2025-31133,
//! -2025-52565, -2025-52881).

mod binds;
mod cgroups;
mod console;
mod devices;
mod masks;
mod mounts;
mod tmpfs;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use kernel::mount::{self, Flags, PROPAGATION, Request, Spread};
use kernel::path::Root;
use kernel::procfs::ProcFs;
use kernel::{mountinfo, process};
use oci::runtime::{Linux, Mount, Spec};

use crate::{Error, Result};

pub(crate) use binds::{Source, open_sources, ranges};
pub(crate) use console::{hand_over, open_master};
pub(crate) use mounts::check as check_mount;

/// What the tree is made from.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub spec: &'a Spec,
    pub linux: &'a Linux,
    /// The root directory on the host, without symbolic links.
    pub rootfs: &'a Path,
    pub bundle: &'a Path,
    /// Bind sources that the runtime has opened, by the number of their mount.
    pub sources: Vec<Source>,
    /// Directories of the container's control group by controller.
    pub cgroups: &'a BTreeMap<String, PathBuf>,
    /// Whether the container has a user namespace.
    pub user_namespace: bool,
    /// Move the root instead of pivot_root.
    pub no_pivot: bool,
}

/// The tree being made.
pub(crate) struct Tree<'a> {
    plan: &'a Plan<'a>,
    root: Root,
    proc: ProcFs,
    /// Mount points that become read-only when everything is in place.
    seal: RefCell<Vec<PathBuf>>,
    /// Ids of the user namespace's root, for file systems that belong to it.
    spread: Spread,
}

impl<'a> Tree<'a> {
    /// Cuts the namespace off the host and makes the root a mount of its own.
    pub fn begin(plan: &'a Plan<'a>) -> Result<Self> {
        let proc = ProcFs::open()?;
        let propagation = propagation(plan.linux)?;
        let failed = |error: kernel::KernelError| Error::from(error).during("error preparing rootfs");
        mount::change_propagation(Path::new("/"), propagation.unwrap_or(libc::MS_SLAVE | libc::MS_REC))
            .map_err(failed)?;
        let cut_off = propagation.is_none_or(|flags| {
            flags & libc::MS_REC != 0 && flags & (libc::MS_SLAVE | libc::MS_PRIVATE) != 0
        });
        if !cut_off {
            make_parent_private(plan.rootfs).map_err(failed)?;
        }
        let rootfs = plan.rootfs.to_string_lossy();
        let flags = libc::MS_BIND | libc::MS_REC;
        mount::mount(&Request { source: &rootfs, target: plan.rootfs, kind: "bind", flags, data: "" })
            .map_err(failed)?;
        let spread = if cut_off { Spread::Never } else { Spread::Perhaps };
        Ok(Self { plan, root: Root::open(plan.rootfs)?, proc, seal: RefCell::default(), spread })
    }

    /// Makes all mounts, then the devices where `/dev` is the container's own.
    pub fn fill(&self) -> Result<()> {
        for (number, mount) in self.plan.spec.mounts.iter().enumerate() {
            self.mount(number, mount)?;
        }
        if self.has_own_dev() {
            self.make_devices()?;
        }
        Ok(())
    }

    /// Makes a terminal of the container's devpts and gives its master away.
    pub fn make_console(&self, socket: &OwnedFd) -> Result<OwnedFd> {
        console::make(self, socket)
    }

    /// After the hooks: working directory, kernel parameters, masks, read-only places.
    pub fn close_up(&self) -> Result<()> {
        self.make_working_directory()?;
        self.set_parameters()?;
        for path in self.seal.borrow().iter() {
            self.make_read_only(path)?;
        }
        self.protect()
    }

    /// Makes the tree the root of the namespace. The host's tree is out of reach afterwards.
    pub fn enter(self) -> Result<()> {
        process::change_directory_to(&self.root)?;
        if self.plan.no_pivot {
            mount::move_current_directory_to_root()
                .map_err(|e| Error::from(e).during("error moving root"))?;
        } else {
            mount::pivot_to_current_directory(self.spread).map_err(|error| {
                Error::unknown(error.text()).during("error jailing process inside rootfs: pivot_root .")
            })?;
        }
        if let Some(flags) = propagation(self.plan.linux)? {
            mount::change_propagation(Path::new("/"), flags)?;
        }
        Ok(())
    }

    fn make_working_directory(&self) -> Result<()> {
        let cwd = self.plan.spec.process.as_ref().map_or("", |process| process.cwd.as_str());
        // The kernel would refuse a link of procfs here; the process itself says what is wrong with it later.
        if cwd.is_empty() || cwd == "/" || cwd.starts_with("/proc/") {
            return Ok(());
        }
        let made = self.root.make_directories(Path::new(cwd), 0o755);
        made.map(drop).map_err(|error| Error::unknown(format!("mkdir {cwd}: {}", error.text())))
    }

    fn set_parameters(&self) -> Result<()> {
        for (name, value) in &self.plan.linux.sysctl {
            let path = format!("sys/{}", sysctl_path(name));
            self.proc.write(&path, value.as_bytes()).map_err(|error| {
                Error::unknown(format!("write sysctl {name} = {value}: open /proc/{path}: {}", error.text()))
            })?;
        }
        Ok(())
    }

    /// Whether `/dev` is not one of the host's directories.
    fn has_own_dev(&self) -> bool {
        let is_dev = |mount: &Mount| kernel::path::clean(Path::new(&mount.destination)) == Path::new("/dev");
        !self.plan.spec.mounts.iter().any(|mount| is_dev(mount) && binds::is_bind(mount))
    }
}

/// A parameter's path below `/proc/sys`: dots and slashes change places when the first of them is a dot.
pub(crate) fn sysctl_path(name: &str) -> String {
    if name.find(['.', '/']).is_some_and(|at| name.as_bytes()[at] == b'/') {
        return name.to_owned();
    }
    let swap = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect()
}

/// What `rootfsPropagation` asks for.
fn propagation(linux: &Linux) -> Result<Option<Flags>> {
    let word = linux.rootfs_propagation.as_str();
    if word.is_empty() {
        return Ok(None);
    }
    let parsed = mount::Options::parse(&[word.to_owned()], mount::Dialect::Oci)?;
    match parsed.propagation.first() {
        Some(flags) if flags & PROPAGATION != 0 => Ok(Some(*flags)),
        _ => Err(Error::invalid(format!("rootfsPropagation={word} is not supported"))),
    }
}

/// Makes the mount that holds the root private, so that the root's own mounts do not reach the host.
fn make_parent_private(rootfs: &Path) -> kernel::Result<()> {
    let mounts = mountinfo::read()?;
    let parent = mounts
        .iter()
        .filter(|info| rootfs.starts_with(&info.mount_point))
        .max_by_key(|info| info.mount_point.components().count());
    match parent {
        Some(info) if info.is_shared() => mount::change_propagation(&info.mount_point, libc::MS_PRIVATE),
        _ => Ok(()),
    }
}
