//! Mounts of every kind but bind: who makes which, where, and what is refused.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use kernel::mount::{self, Dialect, Flags, Options, PROPAGATION, Request, flags_text};
use kernel::path::clean;
use kernel::{Errno, KernelError};
use oci::runtime::Mount;
use rustix::fs::{AtFlags, OFlags, PROC_SUPER_MAGIC};

use super::{Tree, binds};
use crate::{Error, Result};

/// Places below `/proc` that may be bound over, because programs read numbers there that differ by container.
const MOUNTABLE_BELOW_PROC: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// A mount that failed, in runc's words.
pub(super) struct MountError<'a> {
    pub source: &'a str,
    pub mount: &'a Mount,
    pub flags: Flags,
    pub data: &'a str,
    pub reason: &'a str,
}

impl From<MountError<'_>> for Error {
    fn from(failed: MountError<'_>) -> Self {
        let (source, destination) = (failed.source, &failed.mount.destination);
        let mut text = format!(
            "error mounting {source:?} to rootfs at {destination:?}: mount src={source}, dst={destination}"
        );
        if failed.flags != 0 {
            text += &format!(", flags={}", flags_text(failed.flags));
        }
        if !failed.data.is_empty() {
            text += &format!(", data={}", failed.data);
        }
        Self::unknown(format!("{text}: {}", failed.reason))
    }
}

/// Refuses what no mount can be, before anything is made.
pub(crate) fn check(mount: &Mount) -> Result<()> {
    let destination = &mount.destination;
    if destination.is_empty() {
        return Err(Error::invalid("invalid mount: destination must not be empty"));
    }
    if clean(Path::new(destination)) == Path::new("/") {
        return Err(Error::invalid(format!("invalid mount: {destination:?} is the root itself")));
    }
    if binds::is_bind(mount) && !parse(mount)?.data.is_empty() {
        // A slip of the pen in "ro" must not leave a bind writable.
        return Err(Error::invalid(format!(
            "invalid mount {destination:?}: bind mounts cannot have any filesystem-specific options applied"
        )));
    }
    Ok(())
}

/// The options of a mount of the bundle.
pub(super) fn parse(mount: &Mount) -> Result<Options> {
    Ok(Options::parse(&mount.options, Dialect::Oci)?)
}

impl Tree<'_> {
    pub(super) fn mount(&self, number: usize, mount: &Mount) -> Result<()> {
        let mut options = parse(mount)?;
        if binds::is_bind(mount) {
            options.flags |= libc::MS_BIND;
            return self.bind(number, mount, &options);
        }
        if mount.kind != "proc" && clean(Path::new(&mount.destination)) == Path::new("/proc") {
            return Err(self.failed(mount, &options, "it is not of type proc"));
        }
        if mount.kind == "tmpfs" {
            self.take_mode(mount, &mut options)?;
        }
        let place = self.place(mount).map_err(|error| self.failed(mount, &options, &error.text()))?;
        match mount.kind.as_str() {
            "cgroup" => self.mount_cgroups(mount, &options, &place),
            "tmpfs" => self.mount_tmpfs(mount, options, &place),
            "proc" | "sysfs" => {
                self.check_plain_directory(mount)?;
                self.mount_plain(mount, &options, &place)
            }
            _ => self.mount_plain(mount, &options, &place),
        }
    }

    /// The directory a mount goes to, made where it is missing.
    fn place(&self, mount: &Mount) -> kernel::Result<OwnedFd> {
        let place = self.root.make_directories(Path::new(&mount.destination), 0o755)?;
        self.check_below_proc(mount, &place)?;
        Ok(place)
    }

    /// Refuses to mount into procfs, except over files that are known to be harmless there.
    pub(super) fn check_below_proc(&self, mount: &Mount, place: &OwnedFd) -> kernel::Result<()> {
        let destination = clean(Path::new(&mount.destination));
        let on_proc = rustix::fs::fstatfs(place).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC);
        let allowed = MOUNTABLE_BELOW_PROC.iter().any(|path| destination == Path::new(path));
        // A second procfs over the root of the first hides it as a whole.
        if !on_proc || allowed || destination == Path::new("/proc") {
            return Ok(());
        }
        Err(KernelError::new("mount", mount.destination.clone(), Errno::PERM))
    }

    /// procfs and sysfs go to a real directory of the root: through a link they could land anywhere.
    fn check_plain_directory(&self, mount: &Mount) -> Result<()> {
        let destination = clean(Path::new(&mount.destination));
        let relative = destination.strip_prefix("/").unwrap_or(&destination);
        let found = rustix::fs::statat(&self.root, relative, AtFlags::SYMLINK_NOFOLLOW);
        match found {
            Ok(found) if rustix::fs::FileType::from_raw_mode(found.st_mode).is_dir() => Ok(()),
            _ => Err(Error::unknown(format!(
                "filesystem {:?} must be mounted on ordinary directory",
                mount.kind
            ))),
        }
    }

    /// mount(2) on an open place, then propagation.
    pub(super) fn mount_plain(&self, mount: &Mount, options: &Options, place: &OwnedFd) -> Result<()> {
        let mut data = options.data.join(",");
        if mount.kind == "devpts" {
            data = self.devpts_data(&options.data);
        }
        let mut flags = options.flags & !PROPAGATION;
        if flags & libc::MS_RDONLY != 0 && self.is_dev(mount) {
            flags &= !libc::MS_RDONLY;
            self.seal.borrow_mut().push(clean(Path::new(&mount.destination)));
        }
        let target = mount::place_path(place);
        let request =
            Request { source: &mount.source, target: &target, kind: &mount.kind, flags, data: &data };
        mount::call_mount(&request).map_err(|errno| self.failed(mount, options, &kernel::strerror(errno)))?;
        self.spread(mount, options)
    }

    /// Sets how mounts below spread. The place is looked up again: it now means what was mounted there.
    pub(super) fn spread(&self, mount: &Mount, options: &Options) -> Result<()> {
        if options.propagation.is_empty() && options.recursive.is_empty() {
            return Ok(());
        }
        let mounted = self.root.open_at(Path::new(&mount.destination), OFlags::PATH)?;
        for flags in &options.propagation {
            mount::change_propagation(&mount::place_path(&mounted), *flags)
                .map_err(|error| self.failed(mount, options, &error.text()))?;
        }
        if !options.recursive.is_empty() {
            mount::attributes::set_attributes(&mounted, &options.recursive)
                .map_err(|error| self.failed(mount, options, &error.text()))?;
        }
        Ok(())
    }

    pub(super) fn failed(&self, mount: &Mount, options: &Options, reason: &str) -> Error {
        let data = options.data.join(",");
        let flags = options.flags & !PROPAGATION;
        MountError { source: &mount.source, mount, flags, data: &data, reason }.into()
    }

    /// Makes the mount at a path read-only, whatever else it is.
    pub(super) fn make_read_only(&self, path: &Path) -> Result<()> {
        let mounted = self.root.open_at(path, OFlags::PATH)?;
        let attributes = mount::Attributes { set: mount::attributes::RDONLY, ..mount::Attributes::default() };
        mount::attributes::set_attributes(mounted.as_fd(), &attributes).map_err(|error| {
            Error::unknown(format!("remount {} read-only: {}", path.display(), error.text()))
        })
    }

    fn is_dev(&self, mount: &Mount) -> bool {
        clean(Path::new(&mount.destination)) == Path::new("/dev")
    }

    /// In a user namespace the group of terminals must be one that exists there.
    fn devpts_data(&self, words: &[String]) -> String {
        let unmapped = |word: &&String| {
            self.plan.user_namespace
                && word
                    .strip_prefix("gid=")
                    .and_then(|gid| gid.parse::<u32>().ok())
                    .is_some_and(|gid| !self.is_mapped_group(gid))
        };
        let kept: Vec<&str> = words.iter().filter(|word| !unmapped(word)).map(String::as_str).collect();
        kept.join(",")
    }

    fn is_mapped_group(&self, gid: u32) -> bool {
        let mappings = &self.plan.linux.gid_mappings;
        mappings.is_empty()
            || mappings.iter().any(|one| gid >= one.container_id && gid - one.container_id < one.size)
    }
}
